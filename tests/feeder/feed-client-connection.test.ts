import { randomBytes, randomFillSync } from 'node:crypto';
import net from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FeedClient } from '../../src/feeder/feed-client.ts';
import { HOST_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { watched, withFeed } from './feed-client-bench.ts';
import { FeedHost } from './feed-host.ts';
import { until } from './until.ts';

/** The life of a client's connection: which hosts get a proof, what ends it, and how long silence is borne. */

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

test('a host that says nothing is given up after 15 seconds', async () => {
  const silent = net.createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as net.AddressInfo;
  try {
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
  } finally {
    await new Promise((resolve) => silent.close(resolve));
  }
});

test('a client that is closed while it connects ends at once', async () => {
  await withFeed(async ({ host, client }) => {
    const connecting = rejectsWith(client.connect(), 'feed-connection-lost');
    await client.close();
    await connecting;
    assert.equal(host.frames, []);
  });
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

test.run();
