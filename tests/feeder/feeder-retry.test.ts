import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BackOff } from '../../src/feeder/back-off.ts';
import { count } from '../counts.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { CountingInput, drain, fullJitter, hasLink, random, withFeeder } from './feeder-bench.ts';
import { until } from './until.ts';

/** What a feeder does when the connection fails: which failures it tries again after, how long it waits, and what is lost. */

test('over many lost connections no byte is ever sent twice, and every frame is receipted or told as lost', async () => {
  const frames = count(60, 600);
  const input = new CountingInput(frames * 64);
  const options = { chunkBytes: 64 };
  await withFeeder({ input, options, host: { windowFrames: 4 } }, async ({ host, feeder, events }) => {
    let dropped = 0;
    host.fateOf = (index) => {
      const isDropped = index % 7 === 3;
      if (isDropped) host.keepsReceipts = ++dropped % 2 === 0;
      return isDropped ? 'drop' : index % 7 === 5 ? 'test-failed' : 'accepted';
    };
    assert.is(await feeder.run(), 'input-ended');
    assert.ok(host.connections > frames / 14, `${host.connections} connections`);
    const sent = host.payloads.map((payload) => payload.toString('hex'));
    assert.is(new Set(sent).size, sent.length, 'all payloads differ');
    const given = new Set(input.given.map((bytes) => bytes.toString('hex')));
    assert.ok(
      sent.every((payload) => given.has(payload)),
      'and each is one that was drawn',
    );
    let settled = 0;
    for (const event of events) {
      if (event.kind === 'lost') settled += event.frames;
      if (event.kind === 'receipt' && event.receipt.kind === 'frame') settled += 1;
    }
    assert.is(settled, frames);
  });
});

test('the host is tried again after waits that double up to a minute', async () => {
  const clock = new FakeClock();
  await withFeeder(
    { input: new CountingInput(64), clock, jitter: fullJitter },
    async ({ host, feeder, events }) => {
      await host.close();
      const running = feeder.run();
      const waits = (): number[] =>
        events.flatMap((event) => (event.kind === 'retry' ? [Math.round(event.waitMs)] : []));
      const expected = [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
      for (const [index, waitMs] of expected.entries()) {
        await until(() => waits().length === index + 1);
        await clock.advance(waitMs);
      }
      assert.equal(waits().slice(0, expected.length), expected);
      feeder.stop();
      assert.is(await running, 'stopped');
    },
  );
});

test('a host that welcomes and grants but receipts nothing is not hammered, and little is lost to it', async () => {
  const clock = new FakeClock();
  const input = new CountingInput(Infinity);
  await withFeeder({ input, clock, jitter: fullJitter }, async ({ host, feeder, events }) => {
    host.fateOf = () => 'drop';
    host.sendsReceipts = false;
    host.keepsReceipts = false;
    const running = feeder.run();
    const waits = (): number[] =>
      events.flatMap((event) => (event.kind === 'retry' ? [Math.round(event.waitMs)] : []));
    for (const [index, waitMs] of [500, 1000, 2000].entries()) {
      await until(() => waits().length === index + 1);
      assert.is(waits()[index], waitMs);
      await clock.advance(waitMs);
    }
    await until(() => waits().length === 4);
    assert.is(host.payloads.length, 4, 'one frame a connection');
    // One receipt, and the next failure is a first one again.
    host.fateOf = () => 'accepted';
    host.sendsReceipts = true;
    await clock.advance(4000);
    await until(() => events.some(({ kind }) => kind === 'receipt'));
    host.breakOff();
    await until(() => waits().length === 5);
    assert.equal(waits(), [500, 1000, 2000, 4000, 500]);
    feeder.stop();
    await drain(clock, running);
  });
});

test('the jitter is full: from 0 to the bound, evenly', () => {
  const backOff = new BackOff({ firstMs: 1000, longestMs: 1000 }, { random });
  const waits = Array.from({ length: 1000 }, () => backOff.next());
  assert.ok(waits.every((wait) => wait >= 0 && wait < 1000));
  // 100 expected in each tenth, with a standard deviation of 9.5.
  for (let tenth = 0; tenth < 10; tenth++) {
    const within = waits.filter((wait) => Math.floor(wait / 100) === tenth).length;
    assert.ok(within > 45 && within < 155, `${within} in tenth ${tenth}`);
  }
});

test('with --once the first failure is the last', async () => {
  const options = { once: true };
  await withFeeder({ input: new CountingInput(64), options }, async ({ host, feeder, events }) => {
    await host.close();
    await rejectsWith(feeder.run(), 'feed-connection-lost');
    assert.equal(events, []);
  });
});

test('what another try cannot mend ends the run', async () => {
  for (const code of ['feeder-replaced', 'feeder-disabled', 'feeder-suspended'] as const) {
    const input = new CountingInput(1e6);
    await withFeeder({ input, host: { grant: undefined } }, async ({ host, feeder }) => {
      const running = rejectsWith(feeder.run(), code);
      await until(() => host.connections === 1);
      await until(() => hasLink(host));
      host.link.close(code);
      await running;
      assert.is(host.connections, 1);
      assert.ok(input.isClosed);
    });
  }
  await withFeeder({ input: new CountingInput(64), host: { external: 'disabled' } }, async ({ feeder }) => {
    await rejectsWith(feeder.run(), 'external-disabled');
  });
});

test('a forged receipt ends the run, and nothing is tried again', async () => {
  await withFeeder({ input: new CountingInput(1e5) }, async ({ host, feeder }) => {
    host.alter = (record) => Buffer.concat([record.subarray(0, 263), Buffer.from([record[263]! ^ 1])]);
    await rejectsWith(feeder.run(), 'receipt-invalid');
    assert.is(host.connections, 1);
  });
});

test.run();
