import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import { HostNames } from '../../src/api/host-names.ts';
import { parseListenAddress } from '../../src/api/listen-address.ts';
import { TCP_LISTENER_LIMITS, TcpListener } from '../../src/api/tcp-listener.ts';
import type { TlsIdentityOptions } from '../../src/api/tls-identity.ts';
import { SystemClock } from '../../src/base/clock.ts';
import { Counters } from '../../src/base/counters.ts';
import type { EventDetail } from '../../src/base/events.ts';
import { pinOf, readTlsPair, type TlsPairFiles } from '../../src/base/tls-files.ts';
import { DAY_MS, writePair } from '../base/tls-pair.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';
import { fakeRoutes } from './credentials-fake.ts';

/** The listener with TLS: real sockets on the loopback, and a feed that keeps what it is handed. */

let directory: string;
let files: TlsPairFiles;
let clock: FakeClock;
let counters: Counters;
let told: [string, EventDetail][];
const opened: TcpListener[] = [];
const sockets: tls.TLSSocket[] = [];

test.before.each(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'tls-'));
  clock = new FakeClock();
  counters = new Counters();
  told = [];
  files = await writePair(directory, 'a', { notBeforeMs: clock.wallMs() - DAY_MS });
});
test.after.each(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const listener of opened.splice(0)) await listener.close();
  rmSync(directory, { recursive: true });
});

async function open(
  options: Partial<TlsIdentityOptions> = {},
  handshakeTimeoutMs = 5_000,
): Promise<TcpListener> {
  const listener = await TcpListener.open(
    {
      listen: '127.0.0.1:0',
      runtimeDirectory: directory,
      tls: { ...files, clientAuthoritiesFile: undefined, ...options },
      limits: { ...TCP_LISTENER_LIMITS, handshakeTimeoutMs },
    },
    {
      feed: {
        upgrade: (_request, socket) => void socket.write('HTTP/1.1 101 Mine\r\n\r\n'),
        close: () => Promise.resolve(),
      },
      routes: await fakeRoutes(clock, counters),
      clock,
      counters,
      events: { emit: (id, detail = {}) => void told.push([id, detail]) },
    },
  );
  opened.push(listener);
  return listener;
}

/** A finished handshake. */
function connected(listener: TcpListener, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const [host, port] = listener.address.split(':');
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false, ...options });
    sockets.push(socket);
    socket.on('error', reject);
    socket.on('secureConnect', () => resolve(socket));
  });
}

/** Status of a request over TLS. */
function status(
  listener: TcpListener,
  headers: Readonly<Record<string, string>>,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = https.get(
      `https://${listener.address}/v1/feed`,
      { headers, rejectUnauthorized: false, agent: false },
      (response: IncomingMessage) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    request.on('error', reject);
  });
}

/** May be asked once for each connection: Node.js 20 forgets the certificate when it has given it. */
function pinOfPeer(socket: tls.TLSSocket): string {
  return pinOf(socket.getPeerX509Certificate()!).toString('hex');
}

function pinOfFile(pair: TlsPairFiles): string {
  return pinOf(readTlsPair(pair, clock.wallMs()).leaf).toString('hex');
}

/** Puts the second pair in the place of the first. */
function replaceBy(pair: TlsPairFiles): void {
  renameSync(pair.certificateFile, files.certificateFile);
  renameSync(pair.keyFile, files.keyFile);
}

test('with TLS any address may be listened on, but none that has to be looked up', () => {
  assert.equal(parseListenAddress('0.0.0.0:1', { hasTls: true }), { host: '0.0.0.0', port: 1 });
  assert.equal(parseListenAddress('[::]:1', { hasTls: true }), { host: '::', port: 1 });
  throwsWith(() => parseListenAddress('example.org:1', { hasTls: true }), 'usage');
  throwsWith(() => parseListenAddress('0.0.0.0:1'), 'listen-needs-tls');
});

test('the host is known by the names of its certificate, by what it listens on and where one came in', async () => {
  const pair = await writePair(directory, 'b', {
    names: ['feed.example', '*.lab.example', '192.0.2.1', '2001:db8::1'],
    notBeforeMs: clock.wallMs(),
  });
  const { leaf } = readTlsPair(pair, clock.wallMs());
  const names = new HostNames({ host: '198.51.100.7' }, { certificate: () => leaf });
  for (const good of [
    'feed.example',
    'FEED.EXAMPLE:8740',
    'a.lab.example',
    '192.0.2.1:1',
    '[2001:DB8:0::1]:1',
    '198.51.100.7',
    '203.0.113.9',
    'localhost',
    '127.0.0.1:80',
  ])
    assert.ok(names.isOwn(good, '::ffff:203.0.113.9'), good);
  for (const wrong of [
    undefined,
    '',
    'example',
    'feed.example.org',
    'lab.example',
    'a.b.lab.example',
    '*.lab.example',
    '192.0.2.2',
    '203.0.113.8',
    '2001:db8::1',
    'feed.example/',
  ])
    assert.not(names.isOwn(wrong, '203.0.113.9'), wrong);
  assert.is(names.told, 'feed.example', 'clients are told a name that the certificate holds for');
  assert.is(new HostNames({ host: '192.0.2.1' }, { certificate: () => leaf }).told, '192.0.2.1');
});

test('a foreign Host or Origin is refused over TLS too, and what names this host is not', async () => {
  const listener = await open();
  assert.is(await status(listener, { host: 'localhost' }), 404);
  assert.is(await status(listener, { host: 'example.org' }), 403);
  assert.is(await status(listener, { origin: 'https://example.org' }), 403);
  assert.is(await status(listener, { origin: `https://${listener.address}` }), 404);
});

test('TLS 1.3 is spoken, 1.2 with forward secrecy, and nothing older', async () => {
  const listener = await open();
  assert.is((await connected(listener)).getProtocol(), 'TLSv1.3');
  const older = await connected(listener, { maxVersion: 'TLSv1.2' });
  assert.is(older.getProtocol(), 'TLSv1.2');
  assert.match(older.getCipher().name, /^ECDHE-ECDSA-.*(GCM|POLY1305)/);
  const oldest = connected(listener, {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  assert.ok(
    (await oldest.then(
      () => undefined,
      (error: unknown) => error,
    )) instanceof Error,
  );
  const noSecrecy = connected(listener, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' });
  assert.ok(
    (await noSecrecy.then(
      () => undefined,
      (error: unknown) => error,
    )) instanceof Error,
  );
  assert.is(counters.value('tls.handshakes.failed'), 2);
});

test('no session is resumed: each connection is checked by the rules of its own time', async () => {
  const listener = await open();
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await connected(listener, { maxVersion });
    const kept = new Promise<Buffer | undefined>((resolve) => {
      first.once('session', resolve);
      first.once('close', () => resolve(first.getSession()));
    });
    first.end('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n').resume();
    const session = await kept;
    const second = await connected(listener, { maxVersion, ...(session !== undefined && { session }) });
    assert.not(second.isSessionReused(), maxVersion);
  }
});

test('a new pair is presented from the reload on, and connections go on', async () => {
  const listener = await open();
  const before = await connected(listener);
  const oldPin = pinOfPeer(before);
  replaceBy(await writePair(directory, 'b', { notBeforeMs: clock.wallMs() }));
  listener.reloadTls();
  const newPin = pinOfPeer(await connected(listener));
  assert.is(newPin, pinOfFile(files));
  assert.is.not(newPin, oldPin);
  assert.equal(
    told.map(([id]) => id),
    ['tls.certificate.loaded', 'tls.certificate.loaded'],
  );
  assert.is(told[1]![1].pin, newPin);
  const answer = new Promise<string>((resolve) =>
    before.once('data', (part: Buffer) => resolve(part.toString())),
  );
  before.write(`GET / HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  assert.match(await answer, /^HTTP\/1\.1 404 /);
});

test('a bad new pair keeps the old one, and says so', async () => {
  const listener = await open();
  const pin = pinOfFile(files);
  const other = await writePair(directory, 'b', { notBeforeMs: clock.wallMs() });
  renameSync(other.certificateFile, files.certificateFile);
  listener.reloadTls();
  writeFileSync(files.certificateFile, 'half writ');
  listener.reloadTls();
  rmSync(files.keyFile);
  rmSync(files.certificateFile);
  listener.reloadTls();
  assert.is(pinOfPeer(await connected(listener)), pin);
  const kept = told.filter(([id]) => id === 'tls.certificate.kept').map(([, detail]) => detail);
  assert.equal(
    kept.map(({ code }) => code),
    ['tls-pair-mismatched', 'tls-file-invalid', 'tls-file-unreadable'],
  );
  assert.ok(
    kept.every((detail) => detail.pin === pin),
    'it names the one that stays',
  );
});

test('a certificate that ends within 14 days is told at once and each day, until a better one is read', async () => {
  const notBeforeMs = clock.wallMs() - DAY_MS;
  replaceBy(await writePair(directory, 'b', { notBeforeMs, notAfterMs: clock.wallMs() + 14.5 * DAY_MS }));
  const listener = await open();
  const daysTold = () =>
    told.filter(([id]) => id === 'tls.certificate.expiring').map(([, { daysLeft }]) => daysLeft);
  assert.equal(daysTold(), []);
  await clock.advance(DAY_MS);
  await clock.advance(DAY_MS);
  assert.equal(daysTold(), [13, 12]);
  replaceBy(await writePair(directory, 'c', { notBeforeMs }));
  listener.reloadTls();
  await clock.advance(DAY_MS);
  assert.equal(daysTold(), [13, 12]);
});

test('with authorities of clients, only a client with a certificate of theirs gets in', async () => {
  // OpenSSL looks at the real time.
  const notAfterMs = Date.now() + DAY_MS;
  const client = await writePair(directory, 'client', {
    notAfterMs,
    names: ['feeder.example'],
    notBeforeMs: clock.wallMs() - DAY_MS,
  });
  const stranger = await writePair(directory, 'stranger', {
    notAfterMs,
    notBeforeMs: clock.wallMs() - DAY_MS,
  });
  const listener = await open({ clientAuthoritiesFile: client.certificateFile });
  assert.is(told[0]![1].clientCertificates, 'required');
  const request = async (pair?: TlsPairFiles): Promise<string> => {
    const shown = pair === undefined ? undefined : readTlsPair(pair, clock.wallMs());
    const socket = await connected(
      listener,
      shown === undefined ? {} : { cert: shown.certificates, key: shown.key },
    );
    return new Promise((resolve) => {
      let answer = '';
      socket.on('data', (part: Buffer) => (answer += part.toString()));
      socket.on('close', () => resolve(answer));
      socket.removeAllListeners('error').on('error', () => undefined);
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    });
  };
  assert.match(await request(client), /^HTTP\/1\.1 404 /);
  assert.is(await request(), '');
  assert.is(await request(stranger), '');
  assert.is(counters.value('tls.handshakes.failed'), 2);
});

test('files that cannot be used let nothing listen', async () => {
  await rejectsWith(open({ keyFile: `${directory}/none` }), 'tls-file-unreadable');
  await rejectsWith(open({ clientAuthoritiesFile: files.keyFile }), 'tls-file-invalid');
});

test('plain HTTP, noise and silence on the port end without an answer, and without harm', async () => {
  const listener = await open({}, 100);
  const [host, port] = listener.address.split(':');
  const said = (text: string): Promise<string> =>
    new Promise((resolve) => {
      let answer = '';
      const socket = net.connect(Number(port), host, () => socket.write(text));
      socket.on('data', (part) => (answer += part.toString('latin1')));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(answer));
    });
  for (const text of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '\x16\x03\x01\xff\xffnoise', ''])
    assert.not.match(await said(text), 'HTTP/1.1');
  assert.is(counters.value('tls.handshakes.failed'), 3);
  assert.is(await status(listener, { host: 'localhost' }), 404);
});

test('closing waits for nobody who hangs in a handshake', async () => {
  clock = new SystemClock() as unknown as FakeClock;
  const listener = await TcpListener.open(
    {
      listen: '127.0.0.1:0',
      runtimeDirectory: directory,
      tls: { ...(await writePair(directory, 'now')), clientAuthoritiesFile: undefined },
      limits: { ...TCP_LISTENER_LIMITS, handshakeTimeoutMs: 60_000, drainMs: 50 },
    },
    {
      feed: { upgrade: () => undefined, close: () => Promise.resolve() },
      routes: await fakeRoutes(clock, counters),
      clock,
      counters,
      events: { emit: () => undefined },
    },
  );
  const [host, port] = listener.address.split(':');
  const socket = net.connect(Number(port), host);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  await new Promise((resolve) => setImmediate(resolve));
  await listener.close();
});

test('a WebSocket reaches the feed over TLS', async () => {
  const listener = await open();
  assert.is(listener.url, `wss://${listener.address}`);
  const socket = new WebSocket(`${listener.url}/v1/feed`, { rejectUnauthorized: false });
  const failure = await new Promise<Error>((resolve) => socket.once('error', resolve));
  assert.is(
    failure.message,
    'Unexpected server response: 101',
    'the answer is that of the feed of this test',
  );
});

test.run();
