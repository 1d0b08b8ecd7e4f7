import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { rejectsWith } from '../rejects.ts';
import { summaryOf, watched, withFeed } from './feed-client-bench.ts';
import { until } from './until.ts';

/** What a client sends, and when: within the grant, so many frames at a time, each payload once. */

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
    const { frames, sessions, openSessions } = summaryOf(host, records);
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

test('a send waits over a reconnect', async () => {
  await withFeed(async ({ host, client }) => {
    const sending = client.send(randomBytes(64));
    await client.connect();
    assert.is((await sending).verdict, 'accepted');
    assert.is(host.payloads.length, 1);
  });
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

test.run();
