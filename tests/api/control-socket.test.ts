import { chmod, lstat, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LISTENER_LIMITS } from '../../src/api/http-listener.ts';
import type { ErrorCode } from '../../src/base/errors.ts';
import { isEntropyError } from '../../src/base/errors.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { closeBench, exchange, openBench, OWN_UID, request, temporaryDirectory } from './control-bench.ts';

async function assertRefused(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isEntropyError(error, code), `${String(error)} is not ${code}`);
}

async function modeOf(file: string): Promise<number> {
  return (await lstat(file)).mode & 0o777;
}

test('without peer credentials only the owner can connect, and he may change', async () => {
  const bench = await openBench();
  assert.is(await modeOf(bench.socket.path), 0o600);
  assert.is((await request(bench.socket.path, 'POST', '/v1/selftest')).status, 200);
  await closeBench(bench);
});

test('with peer credentials the group may connect; root and the own user change, others read', async () => {
  const peer = { uid: 0, pid: 42 };
  const bench = await openBench({}, { uid: OWN_UID, peerCredentials: () => peer });
  const { path: socketPath } = bench.socket;
  assert.is(await modeOf(socketPath), 0o660);
  for (const [uid, change] of [
    [0, 200],
    [OWN_UID, 200],
    [OWN_UID + 1, 403],
    [OWN_UID + 4_711, 403],
  ] as const) {
    peer.uid = uid;
    assert.is((await request(socketPath, 'GET', '/v1/status')).status, 200, `${uid} reads`);
    assert.is((await request(socketPath, 'POST', '/v1/selftest')).status, change, `${uid} changes`);
  }
  await closeBench(bench);
});

test('a peer whose credentials cannot be read gets the open routes and nothing else', async () => {
  const bench = await openBench({}, { peerCredentials: () => undefined });
  assert.is((await request(bench.socket.path, 'GET', '/healthz')).status, 200);
  assert.is((await request(bench.socket.path, 'GET', '/v1/status')).status, 403);
  await closeBench(bench);
});

test('credentials are asked of the descriptor of the connection, and named to the service', async () => {
  const asked: number[] = [];
  const credentials = (fd: number) => {
    asked.push(fd);
    return { uid: OWN_UID, pid: 4_711 };
  };
  const bench = await openBench({}, { peerCredentials: credentials });
  const body = '{"reason":"ok"}';
  const head = 'POST /v1/sources/rdseed/restore HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
  const type = 'Content-Type: application/json\r\n';
  await exchange(bench.socket.path, `${head}${type}Content-Length: ${body.length}\r\n\r\n${body}`);
  assert.is(asked.length, 1);
  assert.ok(asked[0]! > 2);
  assert.equal(bench.service.calls[0]?.given[2], { name: `uid ${OWN_UID}, pid 4711`, access: 'change' });
  await closeBench(bench);
});

test('a path of 107 bytes is taken, one of 108 refused before anything is made', async () => {
  const base = await temporaryDirectory();
  const nameOf = (bytes: number): string => {
    const rest = bytes - Buffer.byteLength(`${base}//control.sock`);
    return path.join(base, 'd'.repeat(rest));
  };
  const fits = await openBench({ runtimeDirectory: nameOf(107) });
  assert.is(Buffer.byteLength(fits.socket.path), 107);
  assert.is((await request(fits.socket.path, 'GET', '/healthz')).status, 200);
  await fits.socket.close();
  await assertRefused('socket-path-too-long', openBench({ runtimeDirectory: nameOf(108) }));
  assert.is(await lstat(nameOf(108)).catch(() => 'never made'), 'never made');
  await rm(base, { recursive: true });
});

test('the folder is made, writable by its owner only', async () => {
  const base = await temporaryDirectory();
  const bench = await openBench({ runtimeDirectory: path.join(base, 'a', 'b') });
  assert.is((await modeOf(path.join(base, 'a', 'b'))) & 0o022, 0);
  await closeBench(bench);
  await rm(base, { recursive: true });
});

test('a place where no folder can be made is refused, not tried for ever', async () => {
  await assertRefused('runtime-dir-unusable', openBench({ runtimeDirectory: '/proc/none/such' }));
});

test('a folder that others can write, a link, a file, or the folder of another user is refused', async () => {
  const base = await temporaryDirectory();
  const open = path.join(base, 'open');
  await mkdir(open);
  for (const mode of [0o775, 0o757, 0o777, 0o1777]) {
    await chmod(open, mode);
    await assertRefused('runtime-dir-unusable', openBench({ runtimeDirectory: open }));
  }
  await chmod(open, 0o755);
  await symlink(open, path.join(base, 'link'));
  await assertRefused('runtime-dir-unusable', openBench({ runtimeDirectory: path.join(base, 'link') }));
  await writeFile(path.join(base, 'file'), '');
  await assertRefused('runtime-dir-unusable', openBench({ runtimeDirectory: path.join(base, 'file') }));
  await assertRefused('runtime-dir-unusable', openBench({ runtimeDirectory: open }, { uid: OWN_UID + 1 }));
  await rm(base, { recursive: true });
});

test('the socket of a dead daemon is replaced, that of a live one is not', async () => {
  const first = await openBench();
  await assertRefused('state-in-use', openBench({ runtimeDirectory: first.directory }));
  assert.is((await request(first.socket.path, 'GET', '/healthz')).status, 200, 'the first one still answers');
  await first.socket.close();

  const dead = await deadSocket(first.socket.path);
  assert.ok(dead.isSocket());
  const second = await openBench({ runtimeDirectory: first.directory });
  assert.is((await request(second.socket.path, 'GET', '/healthz')).status, 200);
  await closeBench(second);
});

/** What a killed daemon leaves: the name of a socket on which nobody listens. */
async function deadSocket(socketPath: string) {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(`${socketPath}.live`, () => resolve(undefined)));
  const { rename } = await import('node:fs/promises');
  await rename(`${socketPath}.live`, socketPath);
  await new Promise((resolve) => server.close(resolve));
  return lstat(socketPath);
}

test('a file in the place of the socket is left alone', async () => {
  const directory = await temporaryDirectory();
  const file = path.join(directory, 'control.sock');
  await writeFile(file, 'precious');
  await assertRefused('runtime-dir-unusable', openBench({ runtimeDirectory: directory }));
  assert.is(await readFile(file, 'utf8'), 'precious');
  await rm(directory, { recursive: true });
});

test('closing removes the socket, twice is once, and later connections fail', async () => {
  const bench = await openBench();
  await Promise.all([bench.socket.close(), bench.socket.close()]);
  assert.is(await lstat(bench.socket.path).catch(() => 'gone'), 'gone');
  await closeBench(bench);
});

test('closing lets a request finish, and drops a client that never ends once its time is up', async () => {
  const clock = new FakeClock();
  const bench = await openBench({ drainMs: 1_000 }, { clock });
  const stuck = net.connect(bench.socket.path);
  await new Promise((resolve) => stuck.once('connect', resolve));
  stuck.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
  assert.is((await request(bench.socket.path, 'GET', '/healthz')).status, 200);
  const dropped = new Promise((resolve) => stuck.once('close', resolve));
  let closed = false;
  const closing = bench.socket.close().then(() => (closed = true));
  await clock.advance(999);
  assert.is(closed, false, 'not before its time');
  await clock.advance(1);
  await Promise.all([closing, dropped]);
  await closeBench(bench);
});

test('headers that do not come in time are answered and cut off', async () => {
  const limits = { ...LISTENER_LIMITS, headersTimeoutMs: 50, requestTimeoutMs: 50, timeoutCheckMs: 10 };
  const bench = await openBench({ limits });
  const answer = await exchange(bench.socket.path, 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ', true);
  assert.match(answer, /^HTTP\/1\.1 400 request-invalid\r\n/);
  assert.match(answer, 'did not arrive in time');
  await closeBench(bench);
});

test('headers over the limit and text that is not HTTP get a problem, and the socket is closed', async () => {
  const bench = await openBench();
  const large = `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(LISTENER_LIMITS.maximumHeaderBytes)}\r\n\r\n`;
  assert.match(
    await exchange(bench.socket.path, large),
    /^HTTP\/1\.1 413 payload-too-large\r\n[^]*"code":"payload-too-large"/,
  );
  assert.match(
    await exchange(bench.socket.path, 'EHLO there\r\n\r\n'),
    /^HTTP\/1\.1 400 request-invalid\r\n/,
  );
  assert.match(
    await exchange(bench.socket.path, Buffer.alloc(4_096, 0x16)),
    /^HTTP\/1\.1 400 request-invalid\r\n/,
  );
  assert.is((await request(bench.socket.path, 'GET', '/healthz')).status, 200);
  await closeBench(bench);
});

test('a connection carries a bounded number of requests, and connections are bounded', async () => {
  const limits = {
    ...LISTENER_LIMITS,
    maximumRequestsPerConnection: 2,
    maximumConnections: 3,
    keepAliveTimeoutMs: 10,
  };
  const bench = await openBench({ limits });
  const get = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
  const answer = await exchange(bench.socket.path, get.repeat(3), true);
  assert.is(answer.match(/HTTP\/1\.1 200/g)?.length, 2, answer);

  const open = Array.from({ length: 3 }, () => net.connect(bench.socket.path));
  await Promise.all(open.map((client) => new Promise((resolve) => client.once('connect', resolve))));
  assert.is(await exchange(bench.socket.path, get), '', 'the fourth is dropped');
  for (const client of open) client.destroy();
  await closeBench(bench);
});

test.run();
