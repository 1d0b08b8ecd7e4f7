import net from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, type ClientOptions } from 'ws';
import { EVENT_STREAM_DEFAULTS, type EventStreamOptions } from '../../src/api/event-stream.ts';
import { ERRORS } from '../../src/base/errors.ts';
import type { EventRecord } from '../../src/base/events.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { closeBench, exchange, openBench, OWN_UID, type ControlBench } from './control-bench.ts';
import { NOW_MS } from './fake-control-service.ts';

interface Closed {
  readonly code: number;
  readonly reason: string;
}

function connect(bench: ControlBench, query = '', options: ClientOptions = {}): WebSocket {
  return new WebSocket(`ws://localhost/v1/events/stream${query}`, {
    createConnection: () => net.connect(bench.socket.path),
    perMessageDeflate: false,
    ...options,
  });
}

function opened(client: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => client.once('open', resolve).once('error', reject));
}

function closed(client: WebSocket): Promise<Closed> {
  return new Promise((resolve) => {
    client.on('error', () => undefined);
    client.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
}

/** Collects the sequences of the first `wanted` events. */
function sequences(client: WebSocket, wanted: number): Promise<number[]> {
  const seen: number[] = [];
  return new Promise((resolve) => {
    client.on('message', (data) => {
      seen.push((JSON.parse((data as Buffer).toString()) as EventRecord).sequence);
      if (seen.length === wanted) resolve(seen);
    });
  });
}

function record(sequence: number, filler = ''): EventRecord {
  return { sequence, id: 'kernel.fed', severity: 'info', atMs: NOW_MS, detail: { filler } };
}

function streamOptions(change: Partial<EventStreamOptions>): EventStreamOptions {
  return { ...EVENT_STREAM_DEFAULTS, ...change };
}

test('without a position, new events only; with one, those kept above it and then the new ones, none twice', async () => {
  const bench = await openBench();
  const fresh = connect(bench);
  const all = connect(bench, '?after=0');
  const some = connect(bench, '?after=2');
  const wanted = [sequences(fresh, 2), sequences(all, 5), sequences(some, 3)];
  await Promise.all([opened(fresh), opened(all), opened(some)]);
  while (bench.service.subscribers < 3) await new Promise((resolve) => setImmediate(resolve));
  bench.service.emit(record(4));
  bench.service.emit(record(5));
  assert.equal(await Promise.all(wanted), [
    [4, 5],
    [1, 2, 3, 4, 5],
    [3, 4, 5],
  ]);
  for (const client of [fresh, all, some]) client.terminate();
  await closeBench(bench);
});

test('a long past is read to its end, however little may lie unsent', async () => {
  const bench = await openBench({ stream: streamOptions({ maximumUnsentBytes: 1_024 }) });
  const total = 5_000;
  bench.service.kept = Array.from({ length: total }, (_, index) => record(index + 1, 'x'.repeat(200)));
  const client = connect(bench, '?after=0');
  const seen = await sequences(client, total);
  assert.equal(
    seen,
    Array.from({ length: total }, (_, index) => index + 1),
  );
  client.terminate();
  await closeBench(bench);
});

test('a reader whose past is lost is told so by the close code', async () => {
  const bench = await openBench();
  bench.service.kept = [record(10)];
  const lost = { code: ERRORS['event-lost'].webSocketClose, reason: 'event-lost: oldest 10, latest 10' };
  assert.equal(await closed(connect(bench, '?after=3')), lost);
  const restarted = await closed(connect(bench, '?after=11'));
  assert.is(restarted.code, ERRORS['event-lost'].webSocketClose);
  assert.match(restarted.reason, 'the daemon restarted');
  assert.is(bench.service.subscribers, 0);
  await closeBench(bench);
});

test('a reader that does not read is cut off with its code, and holds nobody up', async () => {
  const bench = await openBench({ stream: streamOptions({ maximumUnsentBytes: 16_384 }) });
  const slow = connect(bench);
  const quick = connect(bench);
  await Promise.all([opened(slow), opened(quick)]);
  while (bench.service.subscribers < 2) await new Promise((resolve) => setImmediate(resolve));
  slow.pause();
  let sent = 0;
  const read = sequences(quick, 1);
  while (bench.counters.value('events.dropped') === 0) {
    assert.ok(++sent < 100_000, 'the bound was never reached');
    bench.service.emit(record(sent + 3, 'x'.repeat(500)));
    if (sent % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await read;
  assert.is(bench.service.subscribers, 1, 'only the quick one is left');
  const end = closed(slow);
  slow.resume();
  assert.is((await end).code, ERRORS['reader-slow'].webSocketClose);
  quick.terminate();
  await closeBench(bench);
});

test('a reader that is cut off and does not close is dropped when its time is up', async () => {
  const clock = new FakeClock();
  const bench = await openBench({ stream: streamOptions({ closeTimeoutMs: 5_000 }) }, { clock });
  const client = net.connect(bench.socket.path);
  let ended = false;
  const end = new Promise<void>((resolve) =>
    client.once('close', () => {
      ended = true;
      resolve();
    }),
  );
  const told = new Promise<void>((resolve) =>
    client.on('data', (part) => {
      if (part.includes('event-lost')) resolve();
    }),
  );
  client.write(upgradeRequest('/v1/events/stream?after=9'));
  await told;
  await clock.advance(4_999);
  assert.is(ended, false);
  await clock.advance(1);
  await end;
  await closeBench(bench);
});

test('what readers send is refused: text, binary, large, malformed, unmasked', async () => {
  const bench = await openBench();
  const refusedBy = async (act: (client: WebSocket) => void): Promise<number> => {
    const client = connect(bench);
    const end = closed(client);
    await opened(client);
    act(client);
    return (await end).code;
  };
  const raw = (bytes: number[]) => (client: WebSocket) => void rawSocketOf(client).write(Buffer.from(bytes));
  assert.is(await refusedBy((client) => client.send('hello')), ERRORS['request-invalid'].webSocketClose);
  assert.is(
    await refusedBy((client) => client.send(Buffer.alloc(8))),
    ERRORS['request-invalid'].webSocketClose,
  );
  assert.is(await refusedBy((client) => client.send('x'.repeat(129))), 1009);
  assert.is(await refusedBy(raw([0x81, 0x01, 0x78])), 1002, 'RFC 6455 5.1: a client masks');
  assert.is(await refusedBy(raw([0xf1, 0x80, 0, 0, 0, 0])), 1002, 'reserved bits');
  assert.is(await refusedBy(raw([0x83, 0x80, 0, 0, 0, 0])), 1002, 'reserved opcode');
  assert.is(await refusedBy(raw([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])), 1009);
  assert.is(await refusedBy(raw([0x81, 0x81, 0, 0, 0, 0, 0xff])), 1007, 'not UTF-8');
  while (bench.service.subscribers > 0) await new Promise((resolve) => setImmediate(resolve));
  await closeBench(bench);
});

function rawSocketOf(client: WebSocket): net.Socket {
  const socket: unknown = Reflect.get(client, '_socket');
  assert.ok(socket instanceof net.Socket);
  return socket;
}

test('a ping is answered; a reader that answers none is cut off', async () => {
  const clock = new FakeClock();
  const bench = await openBench({ stream: streamOptions({ pingIntervalMs: 30_000 }) }, { clock });
  const silent = connect(bench, '', { autoPong: false });
  const alive = connect(bench);
  await Promise.all([opened(silent), opened(alive)]);
  const pong = new Promise((resolve) => alive.once('pong', resolve));
  alive.ping('there?');
  assert.is(String(await pong), 'there?');

  const pinged = Promise.all(
    [silent, alive].map((client) => new Promise((resolve) => client.once('ping', resolve))),
  );
  await clock.advance(30_000);
  await pinged;
  // The pong of the living one is on its way; a ping of its own, answered, says that it arrived.
  const echoed = new Promise((resolve) => alive.once('pong', resolve));
  alive.ping();
  await echoed;
  const end = closed(silent);
  await clock.advance(30_000);
  assert.is((await end).code, ERRORS['reader-slow'].webSocketClose);
  assert.is(alive.readyState, WebSocket.OPEN);
  alive.terminate();
  await closeBench(bench);
});

test('streams are bounded in number', async () => {
  const bench = await openBench({ stream: streamOptions({ maximumStreams: 1 }) });
  const first = connect(bench);
  await opened(first);
  assert.match(await upgrade(bench, '/v1/events/stream'), /^HTTP\/1\.1 503 server-busy/);
  const end = closed(first);
  first.close();
  await end;
  while (bench.service.subscribers > 0) await new Promise((resolve) => setImmediate(resolve));
  const next = connect(bench);
  await opened(next);
  next.terminate();
  await closeBench(bench);
});

function upgrade(bench: ControlBench, url: string, method = 'GET', key?: string): Promise<string> {
  return exchange(bench.socket.path, upgradeRequest(url, method, key));
}

function upgradeRequest(url: string, method = 'GET', key = 'dGhlIHNhbXBsZSBub25jZQ=='): string {
  const head = `${method} ${url} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`;
  return `${head}Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
}

test('an upgrade elsewhere, without the right to read, or with a wrong query or handshake gets a problem', async () => {
  const bench = await openBench();
  assert.match(await upgrade(bench, '/v1/status'), /^HTTP\/1\.1 404 route-unknown/);
  assert.match(await upgrade(bench, '/v1/events/stream?after=x'), /^HTTP\/1\.1 400 request-invalid/);
  assert.match(await upgrade(bench, '/v1/events/stream?after=1&after=2'), /^HTTP\/1\.1 400 request-invalid/);
  assert.match(await upgrade(bench, '/v1/events/stream?limit=2'), /^HTTP\/1\.1 400 request-invalid/);
  assert.match(await upgrade(bench, '/v1/events/stream', 'POST'), /^HTTP\/1\.1 400 request-invalid/);
  assert.match(await upgrade(bench, '/v1/events/stream', 'GET', 'short'), /^HTTP\/1\.1 400 request-invalid/);
  assert.match(await upgrade(bench, 'http://['), /^HTTP\/1\.1 400 request-invalid/);
  await closeBench(bench);

  const denied = await openBench({}, { peerCredentials: () => undefined });
  assert.match(await upgrade(denied, '/v1/events/stream'), /^HTTP\/1\.1 403 permission-denied/);
  await closeBench(denied);
  const reader = await openBench({}, { peerCredentials: () => ({ uid: OWN_UID + 1, pid: 1 }) });
  assert.match(await upgrade(reader, '/v1/events/stream'), /^HTTP\/1\.1 101 /);
  await closeBench(reader);
});

test('when the daemon stops, readers are told that it goes away', async () => {
  const bench = await openBench();
  const client = connect(bench);
  const end = closed(client);
  await opened(client);
  await closeBench(bench);
  assert.equal(await end, { code: 1001, reason: 'the daemon stops' });
});

test('a token that is revoked or expires gets no further event', async () => {
  for (const [at, end] of [
    (bench: ControlBench) => bench.tokens.known.delete('reader'),
    (bench: ControlBench) => bench.tokens.expired.add('reader'),
  ].entries()) {
    const bench = await openBench();
    bench.tokens.add('reader', ['observe']);
    const client = connect(bench, '', { headers: { authorization: 'Bearer reader' } });
    await opened(client);
    const first = sequences(client, 1);
    bench.service.emit(record(100 + at));
    assert.equal(await first, [100 + at]);
    end(bench);
    bench.service.emit(record(200));
    const { code, reason } = await closed(client);
    assert.is(code, ERRORS['credential-wrong'].webSocketClose);
    assert.match(reason, /^credential-wrong: /);
    await closeBench(bench);
  }
});

test('a stream takes the scope that reads events', async () => {
  const bench = await openBench();
  bench.tokens.add('other', ['random']);
  const client = connect(bench, '', { headers: { authorization: 'Bearer other' } });
  const status = await new Promise((resolve) =>
    client
      .on('error', () => undefined)
      .once('unexpected-response', (_, response) => resolve(response.statusCode)),
  );
  assert.is(status, 403);
  await closeBench(bench);
});

test.run();
