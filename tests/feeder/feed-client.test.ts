import { randomBytes, randomFillSync } from 'node:crypto';
import net from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import type { EntropyError } from '../../src/base/errors.ts';
import type { FeedClientEvent } from '../../src/feeder/feed-client-events.ts';
import { FeedClient } from '../../src/feeder/feed-client.ts';
import { HOST_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { ReceiptVerifier } from '../../src/protocol/receipt-verifier.ts';
import type { Enrolment } from '../../src/protocol/enrolment-file.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { FeedHost, type FeedHostOptions } from './feed-host.ts';

interface Feed {
  readonly host: FeedHost;
  readonly client: FeedClient;
  readonly clock: FakeClock;
  readonly events: FeedClientEvent[];
  readonly records: Buffer[];
}

/** A host and a client for one test; time stands still unless the test moves it. */
async function withFeed(
  use: (feed: Feed) => Promise<void>,
  options: FeedHostOptions = {},
  alter: (enrolment: Enrolment) => Enrolment = (enrolment) => enrolment,
): Promise<void> {
  const host = await FeedHost.open(options);
  const clock = new FakeClock();
  const events: FeedClientEvent[] = [];
  const records: Buffer[] = [];
  const client = new FeedClient(alter(host.enrolment), {
    clock,
    random: (target) => void randomFillSync(target),
    observe: (event) => events.push(event),
    keepReceipt: (record) => records.push(Buffer.from(record)),
  });
  try {
    await use({ host, client, clock, events, records });
  } finally {
    await host.close();
    await until(() => true);
    const closing = client.close();
    await clock.advance(60_000);
    await closing;
    assert.is(clock.pendingTimers, 0, 'no timer is left');
  }
}

async function until(condition: () => boolean): Promise<void> {
  const patience = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > patience) throw new Error(`never: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What a promise does, without waiting for it. */
function watched<T>(work: Promise<T>): { value?: T; error?: Error } {
  const outcome: { value?: T; error?: Error } = {};
  work.then(
    (value) => (outcome.value = value),
    (error: unknown) => (outcome.error = error as Error),
  );
  return outcome;
}

test('a frame arrives whole, its receipt is verified, and the payload is overwritten here', async () => {
  await withFeed(async ({ host, client, records }) => {
    const { hello, welcome } = await client.connect();
    assert.is(hello.software, 'test-host 1');
    assert.is(welcome.feederClass, 'noise');
    for (const length of [32, 4096, 65_536]) {
      const payload = randomBytes(length);
      const content = Buffer.from(payload);
      await client.granted(length);
      const sending = client.send(payload);
      assert.ok(isAllZero(payload), 'at once, as it was granted');
      const receipt = await sending;
      assert.equal(host.payloads.at(-1), content);
      assert.is(receipt.payloadBytes, length);
      assert.is(receipt.verdict, 'accepted');
    }
    await client.close();
    const verifier = new ReceiptVerifier(host.enrolment);
    for (const record of records) verifier.add(record);
    const { frames, sessions, openSessions } = verifier.summary();
    assert.equal({ frames, sessions, openSessions }, { frames: 3, sessions: 1, openSessions: 0 });
  });
});

test('a frame is 32 bytes to 64 KiB', async () => {
  await withFeed(async ({ client }) => {
    for (const length of [0, 31, 65_537]) {
      const refused = await client.send(Buffer.alloc(length)).catch((error: unknown) => error);
      assert.instance(refused, RangeError);
    }
  });
});

test('nothing is sent before a grant, nor more than it, nor after it has lapsed', async () => {
  await withFeed(
    async ({ host, client, clock }) => {
      await client.connect();
      const first = watched(client.send(randomBytes(1000)));
      const second = watched(client.send(randomBytes(1000)));
      const third = watched(client.send(randomBytes(1000)));
      await clock.advance(0);
      assert.is(host.payloads.length, 0);

      host.link.grant({ totalBytes: 2000, totalFrames: 1, lapseMs: 10_000 });
      await until(() => first.value !== undefined);
      await clock.advance(0);
      assert.is(host.payloads.length, 1, 'one frame was granted');

      host.link.grant({ totalBytes: 2999, totalFrames: 9, lapseMs: 10_000 });
      await until(() => second.value !== undefined);
      await clock.advance(5_000);
      assert.is(host.payloads.length, 2, '999 bytes are left, and 1000 are wanted');

      await clock.advance(5_000);
      host.link.grant({ totalBytes: 5000, totalFrames: 9, lapseMs: 0 });
      host.link.level(10);
      await clock.advance(1_000);
      assert.is(host.payloads.length, 2, 'lapsed');
      assert.is(third.value, undefined);

      host.link.grant({ totalBytes: 3000, totalFrames: 3, lapseMs: 10_000 });
      await until(() => third.value !== undefined);
      assert.is(host.payloads.length, 3);
    },
    { grant: undefined },
  );
});

test('who wants more than is granted gets what there is after a second, 32 bytes at least', async () => {
  await withFeed(
    async ({ host, client, clock, events }) => {
      await client.connect();
      const granted = watched(client.granted(4096));
      host.link.grant({ totalBytes: 31, totalFrames: 9, lapseMs: 60_000 });
      await until(() => events.some((event) => event.kind === 'room'));
      await clock.advance(5_000);
      assert.is(granted.value, undefined);
      host.link.grant({ totalBytes: 100, totalFrames: 9, lapseMs: 60_000 });
      await until(() => events.filter((event) => event.kind === 'room').length === 2);
      await clock.advance(999);
      assert.is(granted.value, undefined);
      await clock.advance(1);
      assert.is(granted.value, 100);
    },
    { grant: undefined },
  );
});

test('no more than 128 frames wait for receipts', async () => {
  await withFeed(async ({ host, client, clock }) => {
    await client.connect();
    await client.send(randomBytes(32));
    host.fateOf = () => 'swallow';
    const sends = Array.from({ length: 130 }, () => watched(client.send(randomBytes(32))));
    await until(() => host.payloads.length === 129);
    await clock.advance(0);
    assert.is(host.payloads.length, 129);
    assert.is(client.unsettledFrames, 128);
    assert.ok(sends.every(({ value, error }) => value === undefined && error === undefined));
  });
});

test('until the first receipt of a session one frame is on its way', async () => {
  await withFeed(async ({ host, client, clock }) => {
    host.fateOf = () => 'swallow';
    await client.connect();
    for (let n = 0; n < 3; n++) watched(client.send(randomBytes(32)));
    await until(() => host.payloads.length === 1);
    await clock.advance(5_000);
    assert.is(host.payloads.length, 1);
    assert.is(client.unsettledFrames, 1);
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
    const verifier = new ReceiptVerifier(host.enrolment);
    for (const record of records) verifier.add(record);
    const { frames, sessions, openSessions } = verifier.summary();
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

test('a level that changes the lost timeout changes the pings, and levels do not put them off', async () => {
  await withFeed(
    async ({ host, client, clock, events }) => {
      await client.connect();
      const levels = (): number => events.filter(({ kind }) => kind === 'level').length;
      await clock.advance(5_000);
      host.lostTimeoutSeconds = 9;
      host.link.level(50, 9);
      await until(() => levels() === 1);
      await clock.advance(0);
      await until(() => host.frames.length === 1);
      await until(() => levels() === 2);
      // Every 3 s from now on, whatever is heard in between.
      for (let pings = 2; pings <= 4; pings++) {
        await clock.advance(2_999);
        assert.is(host.frames.length, pings - 1);
        host.link.level(51, 9);
        await until(() => levels() % 2 === 1);
        await clock.advance(1);
        await until(() => host.frames.length === pings && levels() % 2 === 0);
      }
      assert.ok(host.frames.every((kind) => kind === 'ping'));
    },
    { lostTimeoutSeconds: 60 },
  );
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
    const verifier = new ReceiptVerifier(host.enrolment);
    for (const record of records) verifier.add(record);
    assert.is(verifier.summary().frames, 3);
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

test('a send waits over a reconnect', async () => {
  await withFeed(async ({ host, client }) => {
    const sending = client.send(randomBytes(64));
    await client.connect();
    assert.is((await sending).verdict, 'accepted');
    assert.is(host.payloads.length, 1);
  });
});

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

test('a host that has another key is proven nothing more', async () => {
  await withFeed(
    async ({ client }) => {
      await rejectsWith(client.connect(), 'feeder-unauthenticated');
    },
    {},
    (enrolment) => ({ ...enrolment, key: randomBytes(32) }),
  );
});

test('a host of another id, or with another receipt key, gets no proof', async () => {
  for (const change of [{ host: randomBytes(16) }, { receiptKey: randomBytes(32) }]) {
    await withFeed(
      async ({ host, client }) => {
        await rejectsWith(client.connect(), 'feeder-unauthenticated');
        assert.is(host.frames.length, 0);
      },
      {},
      (enrolment) => ({ ...enrolment, ...change }),
    );
  }
});

test('a mask without external entropy is told as such', async () => {
  await withFeed(
    async ({ client }) => {
      const error = await rejectsWith(client.connect(), 'external-disabled');
      assert.match(error.message, 'mask of the host is 4');
    },
    { external: 'disabled' },
  );
});

test('the host tells why it ends a session', async () => {
  for (const code of ['feeder-replaced', 'feeder-suspended', 'feed-rate-exceeded'] as const) {
    await withFeed(async ({ host, client }) => {
      const { ended } = await client.connect();
      host.link.close(code);
      assert.is((await ended).code, code);
    });
  }
});

test('what does not fit the protocol ends the connection', async () => {
  for (const [misbehave, code] of [
    [(host: FeedHost) => host.link.socket.send('text'), 'feed-message-invalid'],
    [(host: FeedHost) => host.link.send(99, Buffer.alloc(0)), 'feed-message-invalid'],
    [(host: FeedHost) => host.link.send(HOST_FRAMES.answer, Buffer.alloc(0)), 'feed-message-invalid'],
    [(host: FeedHost) => host.link.socket.send(randomBytes(100)), 'feed-frame-unauthentic'],
    [(host: FeedHost) => host.link.socket.send(randomBytes(70_000)), 'feed-connection-lost'],
  ] as const) {
    await withFeed(async ({ host, client }) => {
      const { ended } = await client.connect();
      misbehave(host);
      assert.is((await ended).code, code);
    });
  }
});

test('a host that does not answer pings is given up after two of them', async () => {
  await withFeed(
    async ({ host, client, clock, events }) => {
      const { ended } = await client.connect();
      const end = watched(ended);
      for (let pings = 1; pings <= 6; pings++) {
        await clock.advance(10_000);
        assert.equal(end, {});
        // The host's level comes right behind its pong.
        await until(() => events.filter(({ kind }) => kind === 'level').length === pings);
      }
      assert.is(end.value, undefined);
      host.answersPings = false;
      await clock.advance(10_000);
      assert.is(end.value, undefined);
      await clock.advance(10_000);
      assert.is(end.value?.code, 'feed-connection-lost');
    },
    { lostTimeoutSeconds: 30 },
  );
});

test('where nobody listens, the connection is lost before it began', async () => {
  const host = await FeedHost.open();
  await host.close();
  const client = new FeedClient(host.enrolment, {
    clock: new FakeClock(),
    random: (target) => void randomFillSync(target),
  });
  const error = await rejectsWith(client.connect(), 'feed-connection-lost');
  assert.match(error.message, 'ECONNREFUSED');
});

test('a client that is closed while it connects ends at once', async () => {
  await withFeed(async ({ host, client }) => {
    const connecting = rejectsWith(client.connect(), 'feed-connection-lost');
    await client.close();
    await connecting;
    assert.equal(host.frames, []);
  });
});

test('a host that says nothing is given up after 15 seconds', async () => {
  const silent = net.createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as net.AddressInfo;
  await withFeed(
    async ({ client, clock }) => {
      const outcome = watched(client.connect());
      await clock.advance(14_999);
      assert.equal(outcome, {});
      await clock.advance(1);
      await until(() => outcome.error !== undefined);
      assert.match(outcome.error!.message, 'did not answer in time');
    },
    {},
    (enrolment) => ({ ...enrolment, url: `ws://127.0.0.1:${port}/v1/feed` }),
  );
  await new Promise((resolve) => silent.close(resolve));
});

test('a closed client sends no more', async () => {
  await withFeed(async ({ host, client }) => {
    await client.connect();
    await client.close();
    assert.equal(host.frames, ['close']);
    const payload = randomBytes(64);
    await rejectsWith(client.send(payload), 'feed-connection-lost');
    assert.ok(isAllZero(payload));
    await rejectsWith(client.connect(), 'feed-connection-lost');
  });
});

function flipped(record: Buffer, at: number): Buffer {
  const changed = Buffer.from(record);
  changed[at]! ^= 1;
  return changed;
}

test.run();
