import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import { HostNames } from '../../src/api/host-names.ts';
import { parseListenAddress } from '../../src/api/listen-address.ts';
import { TcpListener } from '../../src/api/tcp-listener.ts';
import { Counters } from '../../src/base/counters.ts';
import { FEED_SUBPROTOCOL } from '../../src/protocol/limits.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';
import { fakeRoutes } from './credentials-fake.ts';
import { FeedBench } from './feed-bench.ts';

/** The listener in front of the feed: where it listens, and whom it refuses before there is a session. */

let bench: FeedBench;

test.before.each(async () => {
  bench = await FeedBench.open({ server: { maximumConnections: 4, maximumUnproven: 2 } });
});
test.after.each(async () => {
  await bench.close();
});

/** Status line and body of the answer to raw bytes. */
function exchange(text: string): Promise<string> {
  const [host, port] = bench.listener.address.split(':');
  return new Promise((resolve) => {
    const socket = net.connect(Number(port), host);
    let answer = '';
    socket.setEncoding('latin1').on('data', (part) => (answer += String(part)));
    socket.on('close', () => resolve(answer));
    socket.on('error', () => undefined);
    socket.write(text);
  });
}

function upgrade(headers: Readonly<Record<string, string>>, target = '/v1/feed'): Promise<string> {
  const all = {
    Host: bench.listener.address,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': FEED_SUBPROTOCOL,
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return exchange(`GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
}

test('addresses to listen on: loopback only, port 0 to 65535', () => {
  assert.equal(parseListenAddress('127.0.0.1:8740'), { host: '127.0.0.1', port: 8740 });
  assert.equal(parseListenAddress('127.255.255.255:0'), { host: '127.255.255.255', port: 0 });
  assert.equal(parseListenAddress('localhost:65535'), { host: '127.0.0.1', port: 65_535 });
  assert.equal(parseListenAddress('[::1]:1'), { host: '::1', port: 1 });
  for (const open of [
    '0.0.0.0:1',
    '128.0.0.1:1',
    '[::]:1',
    '[::2]:1',
    '192.168.0.1:80',
    'example.org:80',
    '127.1:1',
  ])
    throwsWith(() => parseListenAddress(open), 'listen-needs-tls');
  for (const wrong of [
    '',
    '8740',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '::1:1',
    ' 127.0.0.1:1',
  ])
    throwsWith(() => parseListenAddress(wrong), 'usage');
});

test('a Host header names the loopback, with any port or none', () => {
  const names = new HostNames({ host: '127.0.0.1' }, { certificate: () => undefined });
  for (const good of ['localhost', 'LOCALHOST:1', '127.0.0.1', '127.0.0.2:9', '[::1]', '[::1]:8740'])
    assert.ok(names.isOwn(good, '127.0.0.1'), good);
  for (const wrong of [
    undefined,
    '',
    'example.org',
    'localhost.example.org',
    '127.0.0.1.example.org',
    '10.0.0.1',
    '::1',
  ])
    assert.not(names.isOwn(wrong, '10.0.0.1'), wrong);
});

test('the address file tells the chosen port, and goes with the listener', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'listen-'));
  const feed = { upgrade: () => undefined, close: () => Promise.resolve() };
  const events = { emit: () => undefined };
  const clock = new FakeClock();
  const counters = new Counters();
  const routes = await fakeRoutes(clock, counters);
  const dependencies = { feed, routes, events, clock, counters };
  const listener = await TcpListener.open(
    { listen: 'localhost:0', runtimeDirectory: directory },
    dependencies,
  );
  assert.match(listener.address, /^127\.0\.0\.1:[1-9][0-9]+$/);
  assert.is(await readFile(path.join(directory, 'address'), 'utf8'), `${listener.address}\n`);
  const taken = TcpListener.open({ listen: listener.address, runtimeDirectory: directory }, dependencies);
  await rejectsWith(taken, 'listen-failed');
  const unwritable = TcpListener.open(
    { listen: 'localhost:0', runtimeDirectory: `${directory}/none` },
    dependencies,
  );
  await rejectsWith(unwritable, 'runtime-dir-unusable');
  await listener.close();
  assert.is(await stat(path.join(directory, 'address')).catch(() => undefined), undefined);
  await rm(directory, { recursive: true });
});

test('a plain request gets a problem of 404', async () => {
  const answer = await exchange(`GET /v1/feed HTTP/1.1\r\nHost: ${bench.listener.address}\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 404 /);
  assert.match(answer, /"route-unknown"/);
});

test('another Host, and an Origin that is not this listener, are refused, as documents and as sockets', async () => {
  assert.match(await exchange('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'), /^HTTP\/1\.1 403 /);
  assert.match(await upgrade({ Host: 'example.org' }), /^HTTP\/1\.1 403 permission-denied/);
  assert.match(await upgrade({ Origin: 'http://example.org' }), /^HTTP\/1\.1 403 permission-denied/);
  assert.is(bench.counters.value('feeder.connections.refused'), 2);
});

test('an Origin made from the URL, as some client libraries send it, is let in', async () => {
  const socket = new WebSocket(bench.url, [FEED_SUBPROTOCOL], { origin: `http://${bench.listener.address}` });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.terminate();
});

test('another path, no subprotocol, another version and headers over 8 KiB are refused', async () => {
  assert.match(await upgrade({}, '/v1/feed/'), /^HTTP\/1\.1 404 route-unknown/);
  assert.match(
    await upgrade({ 'Sec-WebSocket-Protocol': 'entropy-feed.v2' }),
    /^HTTP\/1\.1 400 request-invalid/,
  );
  assert.match(await upgrade({ 'Sec-WebSocket-Version': '7' }), /^HTTP\/1\.1 400 request-invalid/);
  assert.match(await upgrade({ 'X-Large': 'x'.repeat(8 * 1024) }), /^HTTP\/1\.1 413 payload-too-large/);
});

test('the server echoes the subprotocol and agrees to no extension', async () => {
  const socket = new WebSocket(bench.url, ['other', FEED_SUBPROTOCOL], { perMessageDeflate: true });
  await new Promise((resolve) => socket.once('open', resolve));
  assert.equal([socket.protocol, socket.extensions], [FEED_SUBPROTOCOL, '']);
  socket.terminate();
});

test('when all places of strangers are taken the newcomer gets that of the oldest, and a feeder gets in', async () => {
  const key = await bench.enroll('hsm-1');
  const strangers = ['x', 'y'].map((name) => bench.client(name, Buffer.alloc(32, 1)));
  for (const stranger of strangers) await stranger.hello();
  await bench.connected('hsm-1', key);
  const { code, reason } = await strangers[0]!.closed;
  assert.is(code, 4503);
  assert.match(reason, /^server-busy: /);
  assert.is(strangers[1]!.socket.readyState, strangers[1]!.socket.OPEN);
  assert.is(bench.server.connections, 2);
});

test('connections in all are bounded; what ends makes room', async () => {
  const keys = await Promise.all(['a', 'b', 'c', 'd'].map((name) => bench.enroll(name)));
  for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) await bench.connected(name, keys[index]!);
  assert.match(await upgrade({}), /^HTTP\/1\.1 503 server-busy/);
  bench.clients.at(-1)!.socket.terminate();
  while (bench.server.connections > 3) await new Promise((resolve) => setImmediate(resolve));
  await bench.connected('d', keys[3]!);
});

test('a state that was refused lets nobody in, and says why', async () => {
  await bench.enrolment.close();
  assert.match(await upgrade({}), /^HTTP\/1\.1 507 state-unwritable/);
});

test('many refused strangers are all counted, and few of them told', async () => {
  for (let stranger = 0; stranger < 12; stranger++) await upgrade({}, '/elsewhere');
  assert.is(bench.counters.value('feeder.connections.refused'), 12);
  assert.is(bench.told('feeder.refused').length, 10);
});

test.run();
