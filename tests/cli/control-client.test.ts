import { chmod, rm } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ControlClient } from '../../src/cli/control-client.ts';
import { socketPlace } from '../../src/cli/daemon-place.ts';
import { SystemClock } from '../../src/base/clock.ts';
import { ERRORS, EXIT, isEntropyError, type ErrorCode } from '../../src/base/errors.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { closeBench, openBench, OWN_UID, temporaryDirectory } from '../api/control-bench.ts';
import { runCommand } from './cli-bench.ts';

/** A server that answers every connection with these bytes and says no more. */
async function liar(
  answer: string | Buffer,
  hangUp = true,
): Promise<{ directory: string; close: () => Promise<void> }> {
  const directory = await temporaryDirectory();
  const clients = new Set<net.Socket>();
  const server = net.createServer((client) => {
    clients.add(client);
    client.on('error', () => undefined);
    client.once('data', () => (hangUp ? client.end(answer) : client.write(answer)));
  });
  await new Promise<void>((resolve) => server.listen(path.join(directory, 'control.sock'), resolve));
  const close = async (): Promise<void> => {
    for (const client of clients) client.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  };
  return { directory, close };
}

function http(body: string, status = 200): string {
  return `HTTP/1.1 ${status} X\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

async function failureOf(directory: string): Promise<{ code: ErrorCode; detail: string }> {
  const client = new ControlClient({ place: socketPlace(directory) }, { clock: new SystemClock() });
  try {
    await client.call(ROUTES.status);
  } catch (error) {
    assert.ok(isEntropyError(error), String(error));
    if (isEntropyError(error)) return { code: error.code, detail: error.message };
  }
  throw new Error('the call succeeded');
}

test('a missing daemon is one sentence with the socket that was tried, and exit code 5', async () => {
  const directory = await temporaryDirectory();
  const { exit, stdout, stderr } = await runCommand(['mixer', 'status', '--runtime-dir', directory]);
  assert.is(exit, EXIT.noDaemon);
  assert.is(stdout, '');
  assert.is(
    stderr,
    `Error: No daemon answers on ${directory}/control.sock (ENOENT) (daemon-unreachable). ${ERRORS['daemon-unreachable'].whatToDo}\n`,
  );
  await rm(directory, { recursive: true });
});

test('the directory comes from the environment when no option names it', async () => {
  const bench = await openBench();
  const environment = { RUNTIME_DIRECTORY: bench.directory };
  assert.is((await runCommand(['mixer', 'status'], { environment })).exit, 0);
  const { stderr } = await runCommand(['mixer', 'status'], { environment: { XDG_RUNTIME_DIR: '/nowhere' } });
  assert.match(stderr, '/nowhere/entropy-mixer/control.sock');
  await closeBench(bench);
});

test('a socket on which nobody listens is a missing daemon', async () => {
  const { directory, close } = await liar('');
  assert.is((await failureOf(directory)).code, 'daemon-unreachable', 'hung up without an answer');
  await close();
});

test('a socket path that would be cut is refused', () => {
  const runtimeDirectory = `/${'d'.repeat(93)}`;
  assert.is(socketPlace(runtimeDirectory).name, `${runtimeDirectory}/control.sock`);
  assert.throws(
    () => socketPlace(`${runtimeDirectory}d`),
    (error: unknown) => isEntropyError(error, 'socket-path-too-long'),
  );
});

test('a reader who tries to change is told that he may not, and the exit code says so', async () => {
  const bench = await openBench({}, { peerCredentials: () => ({ uid: OWN_UID + 1, pid: 9 }) });
  const line = ['--runtime-dir', bench.directory];
  assert.is((await runCommand([...line, 'mixer', 'status'])).exit, 0);
  const { exit, stderr } = await runCommand([...line, 'mixer', 'selftest']);
  assert.is(exit, EXIT.permission);
  assert.match(stderr, `This peer (uid ${OWN_UID + 1}, pid 9) may not change (permission-denied)`);
  await closeBench(bench);
});

const NOBODY = 65_534;

test('a socket that this user may not open is a matter of permission', async () => {
  const bench = await openBench();
  await chmod(bench.socket.path, 0);
  // Root may open any socket, whatever its mode, so root looks with another user's eyes.
  if (OWN_UID === 0) process.seteuid?.(NOBODY);
  try {
    assert.is((await failureOf(bench.directory)).code, 'permission-denied');
  } finally {
    if (OWN_UID === 0) process.seteuid?.(0);
  }
  await closeBench(bench);
});

test('answers that are not ours are refused: other shapes, other formats, no HTTP, no problem', async () => {
  const lies = [
    http('{}'),
    http('{"gate":"open"}'),
    http('not json'),
    http(''),
    http('{"code":"usage"}', 400),
    http('{"code":"unheard-of","status":400}', 400),
    'SSH-2.0-OpenSSH_9\r\n',
    Buffer.alloc(1_000, 7),
  ];
  for (const lie of lies) {
    const { directory, close } = await liar(lie);
    assert.is((await failureOf(directory)).code, 'answer-invalid', String(lie).slice(0, 80));
    await close();
  }
});

test('an answer without an end is cut off at 8 MiB', async () => {
  const { directory, close } = await liar(`HTTP/1.1 200 X\r\n\r\n"${'x'.repeat(9 * 2 ** 20)}`, false);
  const { code, detail } = await failureOf(directory);
  assert.is(code, 'answer-invalid');
  assert.match(detail, '8388608');
  await close();
});

test('a daemon that does not answer in time is given up', async () => {
  const { directory, close } = await liar('', false);
  const clock = new FakeClock();
  const client = new ControlClient({ place: socketPlace(directory) }, { clock });
  const failure = client.call(ROUTES.status, { timeoutMs: 1_000 }).catch((error: unknown) => error);
  await clock.advance(1_000);
  assert.ok(isEntropyError(await failure, 'daemon-unreachable'));
  assert.is(clock.pendingTimers, 0);
  await close();
});

test('exit codes of status: open 0, degraded 3, closed 4', async () => {
  const bench = await openBench();
  const gate = bench.service.report.gate;
  const exitWith = async (change: object): Promise<number> => {
    bench.service.report = { ...bench.service.report, gate: { ...gate, ...change } };
    return (await runCommand(['mixer', 'status', '--runtime-dir', bench.directory])).exit;
  };
  assert.is(await exitWith({}), 0);
  assert.is(await exitWith({ degraded: true }), 3);
  assert.is(await exitWith({ state: 'closed', reason: 'warming' }), 4);
  await closeBench(bench);
});

test('a failed self-test and a failed source show in the exit code', async () => {
  const bench = await openBench();
  const line = ['--runtime-dir', bench.directory, 'mixer'];
  bench.service.selfTestReport = { passed: false, failedTest: 'sha512', atMs: 0 };
  assert.is((await runCommand([...line, 'selftest'])).exit, EXIT.integrity);
  assert.is((await runCommand([...line, 'source', 'test', 'rdseed'])).exit, EXIT.ok);
  assert.is((await runCommand([...line, 'source', 'test', 'external'])).exit, EXIT.failed);
  await closeBench(bench);
});

test('wait-ready waits for the daemon and then for its gate, and gives up with the reason', async () => {
  const bench = await openBench();
  const line = ['mixer', 'wait-ready', '--runtime-dir', bench.directory];
  bench.service.readiness = { ready: false, reason: 'warming' };
  const closed = await runCommand([...line, '--timeout', '0']);
  assert.is(closed.exit, EXIT.gateClosed);
  assert.match(closed.stderr, 'the gate is closed: warming'.slice(4));
  const waiting = runCommand([...line, '--timeout', '60']);
  while (bench.service.calls.length < 3) await new Promise((resolve) => setImmediate(resolve));
  bench.service.readiness = { ready: true, reason: null };
  assert.equal(await waiting, { exit: 0, stdout: '', stderr: '' });
  await closeBench(bench);
  assert.is((await runCommand([...line, '--timeout', '0'])).exit, EXIT.noDaemon);
});

test('a kernel setting goes to the daemon as its own type, however esxcli lets a boolean be written', async () => {
  const bench = await openBench();
  const set = (name: string, value: string) =>
    runCommand([
      'system',
      'settings',
      'kernel',
      'set',
      '-s',
      name,
      '-v',
      value,
      '--runtime-dir',
      bench.directory,
    ]);
  for (const text of ['TRUE', 'true', 'T'])
    assert.equal(await set('disableHwrng', text), { exit: 0, stdout: '', stderr: '' });
  await set('disableHwrng', 'f');
  await set('entropySources', '12');
  const patches = bench.service.calls
    .filter(({ name }) => name === 'changeConfiguration')
    .map(({ given }) => given[0]);
  const on = { disableHwrng: true };
  assert.equal(patches, [on, on, on, { disableHwrng: false }, { entropySources: 12 }]);
  await closeBench(bench);
});

test('bytes come as they are, only under their media type, and a refusal keeps its code', async () => {
  const bench = await openBench();
  const client = new ControlClient({ place: socketPlace(bench.directory) }, { clock: new SystemClock() });
  assert.equal(
    await client.callBytes(ROUTES.random, { query: { bytes: 65_536 } }),
    Buffer.alloc(65_536, 0xa5),
  );
  const key = Buffer.alloc(32, 0xc3);
  const file = await client.callBytes(ROUTES.rotateFeeder, { params: { name: 'hsm-1' }, bytes: key });
  assert.match(file.toString('latin1'), /key (?:c3){32}\n$/);
  assert.equal(key, Buffer.alloc(32, 0xc3), 'a body stays with its owner');
  const refused = client.callBytes(ROUTES.rotateFeeder, { params: { name: 'nobody' } });
  assert.is(await codeOf(refused), 'feeder-unknown');
  await closeBench(bench);
  const { directory, close } = await liar(http('A'.repeat(32)));
  const deceived = new ControlClient({ place: socketPlace(directory) }, { clock: new SystemClock() });
  assert.is(await codeOf(deceived.callBytes(ROUTES.random, { query: { bytes: 32 } })), 'answer-invalid');
  await close();
});

async function codeOf(call: Promise<unknown>): Promise<ErrorCode | undefined> {
  const error: unknown = await call.catch((reason: unknown) => reason);
  return isEntropyError(error) ? error.code : undefined;
}

test.run();
