import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EntropyError } from '../../src/base/errors.ts';
import { HOST_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { rejectsWith } from '../rejects.ts';
import { summaryOf, watched, withFeed } from './feed-client-bench.ts';
import { until } from './until.ts';

/** What a client believes of the receipts that come, and how it settles those that were missed. */

for (const [what, alter] of [
  ['signed by nobody', (record: Buffer) => flipped(record, 263)],
  ['altered in its credit', (record: Buffer) => flipped(record, 167)],
] as const) {
  test(`a receipt ${what} ends the connection, and nothing of it is believed`, async () => {
    await withFeed(async ({ host, client, records }) => {
      host.alter = alter;
      const { ended } = await client.connect();
      const sending = watched(client.send(randomBytes(64)));
      assert.is((await ended).code, 'receipt-invalid');
      assert.is(sending.value, undefined);
      assert.is(records.length, 0);
    });
  });
}

test('a genuine receipt of another frame than was sent ends the connection', async () => {
  await withFeed(async ({ host, client, records }) => {
    host.signedDigest = () => randomBytes(32);
    const { ended } = await client.connect();
    const sending = watched(client.send(randomBytes(64)));
    const error = await ended;
    assert.is(error.code, 'receipt-invalid');
    assert.match(error.message, 'of another frame 1');
    assert.equal([sending.value, records.length], [undefined, 0]);
  });
});

test('a genuine receipt that comes a second time is refused', async () => {
  await withFeed(async ({ host, client, records }) => {
    const { ended } = await client.connect();
    await client.send(randomBytes(64));
    host.link.send(HOST_FRAMES.receipt, records[0]!);
    assert.is((await ended).code, 'receipt-invalid');
  });
});

test('a receipt of a frame that was never sent is refused, though its chain is sound', async () => {
  await withFeed(async ({ host, client }) => {
    const { ended } = await client.connect();
    host.signedSequence = (sequence) => sequence + 1;
    const sending = watched(client.send(randomBytes(64)));
    const error = await ended;
    assert.is(error.code, 'receipt-invalid');
    assert.match(error.message, 'frame 2 does not wait for a receipt');
    assert.is(sending.value, undefined);
  });
});

test('a frame that the chain leaves out is lost, and the feed goes on', async () => {
  await withFeed(async ({ host, client, events, records }) => {
    await client.connect();
    await client.send(randomBytes(100));
    host.fateOf = (index) => (index === 1 || index === 2 ? 'swallow' : 'accepted');
    const left = [100, 200].map((length) =>
      rejectsWith(client.send(randomBytes(length)), 'feed-connection-lost'),
    );
    assert.is((await client.send(randomBytes(100))).verdict, 'accepted');
    for (const error of await Promise.all(left)) assert.match(error.message, 'the host left it out');
    assert.equal(
      events.filter(({ kind }) => kind === 'lost'),
      [{ kind: 'lost', frames: 2, bytes: 300 }],
    );
    assert.is((await client.send(randomBytes(100))).verdict, 'accepted');
    assert.is(records.length, 3);
  });
});

test('the end of a session that broke off is fetched, though each frame has its receipt', async () => {
  await withFeed(async ({ host, client, records }) => {
    const first = await client.connect();
    await client.send(randomBytes(64));
    await client.send(randomBytes(64));
    host.breakOff();
    await first.ended;
    await client.connect();
    assert.equal(host.asked, [2], 'from the record that is held');
    assert.is(records.length, 3, 'which is not kept twice');
    await client.send(randomBytes(64));
    await client.close();
    const { frames, sessions, openSessions } = summaryOf(host, records);
    assert.equal({ frames, sessions, openSessions }, { frames: 3, sessions: 2, openSessions: 0 });
  });
});

test('nothing is asked for when the last record is held, or when the host keeps none', async () => {
  for (const keepsReceipts of [true, false]) {
    await withFeed(async ({ host, client }) => {
      host.endsBroken = false;
      const first = await client.connect();
      await client.send(randomBytes(64));
      host.keepsReceipts = keepsReceipts;
      host.breakOff();
      await first.ended;
      await client.connect();
      assert.equal(host.asked, []);
      assert.is((await client.send(randomBytes(64))).verdict, 'accepted');
    });
  }
});

test('more records than one answer holds are asked for until none is new', async () => {
  await withFeed(async ({ host, client, records }) => {
    const first = await client.connect();
    await client.send(randomBytes(32));
    host.sendsReceipts = false;
    const sends = Array.from({ length: 128 }, () => client.send(randomBytes(32)));
    await until(() => host.payloads.length === 129);
    host.breakOff();
    await first.ended;
    await client.connect();
    // The first answer repeats record 1 and brings 127; the second repeats record 128 and brings 129 and the end.
    assert.equal(host.asked, [1, 128]);
    for (const receipt of await Promise.all(sends)) assert.is(receipt.verdict, 'accepted');
    assert.is(records.length, 130);
  });
});

test('an answer that begins after a gap leaves the rest of its session out', async () => {
  await withFeed(async ({ host, client, events, records }) => {
    const first = await client.connect();
    await client.send(randomBytes(64));
    host.sendsReceipts = false;
    const lost = rejectsWith(client.send(randomBytes(64)), 'feed-connection-lost');
    const gone = rejectsWith(client.send(randomBytes(64)), 'feed-connection-lost');
    await until(() => host.payloads.length === 3);
    host.breakOff();
    host.forget(2);
    await first.ended;
    host.sendsReceipts = true;
    await client.connect();
    assert.match((await lost).message, 'the host keeps none');
    await gone;
    assert.is(records.length, 1);
    assert.equal(
      events.filter(({ kind }) => kind === 'lost'),
      [{ kind: 'lost', frames: 2, bytes: 128 }],
    );
    assert.is((await client.send(randomBytes(64))).verdict, 'accepted');
  });
});

test('after a lost connection receipts are asked for, what the host never got is lost, and no byte goes twice', async () => {
  await withFeed(async ({ host, client, events, records }) => {
    host.fateOf = (index) => (index === 1 ? 'drop' : 'accepted');
    const { ended } = await client.connect();
    const sends = [watched(client.send(randomBytes(100)))];
    await until(() => client.sessionReceipts === 1);
    for (let n = 1; n < 4; n++) sends.push(watched(client.send(randomBytes(100))));
    assert.is((await ended).code, 'feed-connection-lost');
    assert.is(sends[1]!.value, undefined, 'it is not known yet what became of it');

    await client.connect();
    assert.is(host.asked.length, 1);
    await until(() => client.unsettledFrames === 0);
    assert.is(sends[0]!.value?.verdict, 'accepted');
    assert.is(sends[1]!.value?.verdict, 'accepted');
    for (const { error } of sends.slice(2)) assert.is((error as EntropyError).code, 'feed-connection-lost');
    const lost = events.filter((event) => event.kind === 'lost');
    assert.equal(lost, [{ kind: 'lost', frames: 2, bytes: 200 }]);

    await client.send(randomBytes(100));
    const hexes = host.payloads.map((payload) => payload.toString('hex'));
    assert.is(new Set(hexes).size, hexes.length);
    assert.is(summaryOf(host, records).frames, 3);
  });
});

test('frames that the host never accepted are lost without a question', async () => {
  await withFeed(async ({ host, client }) => {
    host.fateOf = (index) => (index === 0 ? 'drop' : 'accepted');
    const { ended } = await client.connect();
    const first = rejectsWith(client.send(randomBytes(64)), 'feed-connection-lost');
    await ended;
    host.nextSequence = 1;
    await client.connect();
    assert.match((await first).message, 'the host did not accept it');
    assert.equal(host.asked, []);
  });
});

test('a host that keeps no receipts leaves the frames lost, and the feed goes on', async () => {
  await withFeed(async ({ host, client }) => {
    host.keepsReceipts = false;
    host.fateOf = (index) => (index === 0 ? 'drop' : 'accepted');
    const { ended } = await client.connect();
    const first = rejectsWith(client.send(randomBytes(64)), 'feed-connection-lost');
    await ended;
    await client.connect();
    assert.match((await first).message, 'the host keeps none');
    assert.is((await client.send(randomBytes(64))).verdict, 'accepted');
  });
});

function flipped(record: Buffer, at: number): Buffer {
  const changed = Buffer.from(record);
  changed[at]! ^= 1;
  return changed;
}

test.run();
