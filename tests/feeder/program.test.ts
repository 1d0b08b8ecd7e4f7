import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { encodeEnrolment, type Enrolment } from '../../src/protocol/enrolment-file.ts';
import { RECEIPT_BYTES } from '../../src/protocol/receipt.ts';
import { testWhen } from '../requirements.ts';
import { FeedHost } from './feed-host.ts';
import { temporaryDirectory, writtenFile } from './temporary.ts';
import { until } from './until.ts';

const PATIENCE_MS = 20_000;
const directory = temporaryDirectory();
const program = path.join(directory, 'entropy-feed.mjs');

/** One file, as the build makes it: twenty starts from source would take most of the time. */
await build({
  entryPoints: [fileURLToPath(new URL('../../src/feeder/main.ts', import.meta.url))],
  outfile: program,
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'error',
  banner: {
    js: "import { createRequire as bundledRequire } from 'node:module'; const require = bundledRequire(import.meta.url);",
  },
});

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly pid: number;
  readonly ended: Promise<Outcome>;
  readonly stdin: NodeJS.WritableStream;
  signal(name: NodeJS.Signals): void;
}

function start(...argv: readonly string[]): Running {
  return started(process.execPath, program, ...argv);
}

function started(command: string, ...argv: readonly string[]): Running {
  const child = spawn(command, argv, { stdio: 'pipe' });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...output });
    });
  });
  return { pid: child.pid ?? 0, ended, stdin: child.stdin, signal: (name) => void child.kill(name) };
}

function run(...argv: readonly string[]): Promise<Outcome> {
  return outcomeOf(process.execPath, program, ...argv);
}

function outcomeOf(command: string, ...argv: readonly string[]): Promise<Outcome> {
  const { ended, stdin } = started(command, ...argv);
  stdin.end();
  return ended;
}

function isRunning(pid: number): boolean {
  try {
    // A process that ended and has not been waited for still has an entry.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

let files = 0;

function fresh(name: string): string {
  return path.join(directory, `${files++}-${name}`);
}

function enrolmentFile(enrolment: Enrolment, mode = 0o600): string {
  return writtenFile(fresh('enrolment'), encodeEnrolment(enrolment), mode);
}

async function withHost(
  use: (host: FeedHost) => Promise<void>,
  ...options: Parameters<typeof FeedHost.open>
) {
  const host = await FeedHost.open(...options);
  try {
    await use(host);
  } finally {
    await host.close();
  }
}

function eventsIn({ stdout }: Outcome): Record<string, unknown>[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a file is fed, its receipts are kept, and verify proves them without a daemon', async () => {
  await withHost(async (host) => {
    const content = randomBytes(10_010);
    const key = enrolmentFile(host.enrolment);
    const receipts = fresh('receipts');
    const argv = ['--key', key, '--receipts', receipts, 'file', writtenFile(fresh('recording'), content)];
    const fed = await run(...argv);
    assert.equal([fed.code, fed.stderr], [EXIT.ok, '']);
    assert.equal(Buffer.concat(host.payloads), content);
    const last = eventsIn(fed).at(-1);
    assert.ok(last !== undefined);
    assert.is(last.event, 'end');
    assert.is(last.reason, 'input-ended');
    assert.is(last.memoryBytes, content.length);
    assert.is(last.creditedBits, content.length);

    for (const trusted of [
      key,
      host.enrolment.receiptKey.toString('hex'),
      writtenFile(fresh('hex'), `${host.enrolment.receiptKey.toString('hex')}\n`),
    ]) {
      const verified = await run('verify', receipts, '--key', trusted);
      assert.is(verified.code, EXIT.ok, verified.stderr);
      assert.match(verified.stdout, '4 receipts, all genuine: 3 frames in 1 sessions');
    }
    assert.is((await run('verify', receipts, '--key', randomBytes(32).toString('hex'))).code, EXIT.integrity);

    const altered = readFileSync(receipts);
    altered[RECEIPT_BYTES + 160]! ^= 1;
    const refused = await run('verify', writtenFile(fresh('altered'), altered), '--key', key);
    assert.is(refused.code, EXIT.integrity);
    assert.match(refused.stderr, 'receipt-invalid: record 2');
  });
});

test('stdin is fed', async () => {
  await withHost(async (host) => {
    const content = randomBytes(9000);
    const { ended, stdin } = start('--key', enrolmentFile(host.enrolment), '--progress', 'none', 'stdin');
    stdin.end(content);
    assert.equal(await ended, { code: EXIT.ok, stdout: '', stderr: '' });
    assert.equal(Buffer.concat(host.payloads), content);
  });
});

test('SIGTERM ends a feed in order, though its input would wait for ever', async () => {
  await withHost(async (host) => {
    const running = start('--key', enrolmentFile(host.enrolment), 'stdin');
    running.stdin.write(randomBytes(5000));
    await until(() => host.payloads.length === 1);
    running.signal('SIGTERM');
    const outcome = await running.ended;
    assert.is(outcome.code, EXIT.ok, outcome.stderr);
    assert.is(host.frames.at(-1), 'close');
    assert.is(eventsIn(outcome).at(-1)?.reason, 'stopped');
  });
});

test('a second signal ends it at once', async () => {
  await withHost(async (host) => {
    host.fateOf = () => 'swallow';
    const running = start('--key', enrolmentFile(host.enrolment), 'stdin');
    running.stdin.write(randomBytes(4096));
    await until(() => host.payloads.length === 1);
    // The first waits for the receipt that does not come; signals that arrive together would be one.
    running.signal('SIGINT');
    running.signal('SIGTERM');
    assert.is((await running.ended).code, EXIT.failed);
    assert.not.ok(host.frames.includes('close'));
  });
});

test('a mask without external entropy has its own exit code, and the command that changes it', async () => {
  await withHost(
    async (host) => {
      const { code, stderr } = await run('--key', enrolmentFile(host.enrolment), 'stdin');
      assert.is(code, EXIT.externalDisabled);
      assert.match(stderr, 'external-disabled');
      assert.match(stderr, 'entropySources -v 12');
    },
    { external: 'disabled' },
  );
});

test('each failure has its code, its exit code and what to do', async () => {
  await withHost(async (host) => {
    const key = enrolmentFile(host.enrolment);
    const wrongKey = enrolmentFile({ ...host.enrolment, key: randomBytes(32) });
    const otherHost = enrolmentFile({ ...host.enrolment, host: randomBytes(16) });
    const exposed = enrolmentFile(host.enrolment, 0o640);
    const garbage = writtenFile(fresh('garbage'), 'no enrolment\n');
    const text = writtenFile(fresh('text'), 'not receipts');
    for (const [argv, exit, code] of [
      [['--key', wrongKey, 'stdin'], EXIT.authentication, 'feeder-unauthenticated'],
      [['--key', otherHost, 'stdin'], EXIT.authentication, 'feeder-unauthenticated'],
      [['--key', exposed, 'stdin'], EXIT.permission, 'key-file-exposed'],
      [['--key', garbage, 'stdin'], EXIT.usage, 'enrolment-invalid'],
      [['--key', fresh('missing'), 'stdin'], EXIT.usage, 'enrolment-invalid'],
      [
        ['--key', key, '--once', '--url', 'ws://127.0.0.1:1', 'stdin'],
        EXIT.connection,
        'feed-connection-lost',
      ],
      [['--key', key, 'device', '/dev/urandom'], EXIT.input, 'input-refused'],
      [['--key', key, 'file', fresh('missing')], EXIT.input, 'input-failed'],
      [['--key', key, '--receipts', text, 'stdin'], EXIT.failed, 'receipts-unwritable'],
      [['stdin'], EXIT.usage, 'usage'],
    ] as const) {
      const outcome = await run(...argv);
      assert.is(outcome.code, exit, `${argv.join(' ')}: ${outcome.stderr}`);
      assert.match(outcome.stderr, `entropy-feed: ${code}: `);
      assert.not.ok(outcome.stderr.includes(host.enrolment.key.toString('hex')));
    }
  });
});

testWhen(existsSync('/dev/full'))('receipts that cannot be kept end the feed before it begins', async () => {
  await withHost(async (host) => {
    const argv = ['--key', enrolmentFile(host.enrolment), '--receipts', '/dev/full', 'stdin'];
    const { code, stderr } = await run(...argv);
    assert.is(code, EXIT.failed);
    assert.match(stderr, 'receipts-unwritable');
  });
});

test('whatever code the host gives, the exit code says that it was the host', async () => {
  for (const [code, exit] of [
    ['internal', EXIT.connection],
    ['usage', EXIT.connection],
    ['state-unwritable', EXIT.connection],
    ['receipt-invalid', EXIT.connection],
    ['feeder-suspended', EXIT.authentication],
    ['external-disabled', EXIT.externalDisabled],
  ] as const) {
    await withHost(async (host) => {
      const running = start('--key', enrolmentFile(host.enrolment), '--once', 'stdin');
      running.stdin.write(randomBytes(4096));
      await until(() => host.payloads.length === 1);
      host.link.close(code);
      const outcome = await running.ended;
      assert.is(outcome.code, exit, code);
      assert.match(outcome.stderr, `entropy-feed: ${code}: the host ended the session`);
      assert.not.match(outcome.stderr, ' at ');
    });
  }
  const busy = http.createServer((_request, response) => {
    response.writeHead(503, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ code: 'server-busy' }));
  });
  busy.on('upgrade', (_request, socket) =>
    socket.end('HTTP/1.1 503 Busy\r\nContent-Length: 22\r\nConnection: close\r\n\r\n{"code":"server-busy"}'),
  );
  await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
  const { port } = busy.address() as AddressInfo;
  await withHost(async (host) => {
    const key = enrolmentFile(host.enrolment);
    const outcome = await run('--key', key, '--once', '--url', `ws://127.0.0.1:${port}`, 'stdin');
    assert.is(outcome.code, EXIT.connection);
    assert.match(outcome.stderr, 'entropy-feed: server-busy: ');
  });
  await new Promise((resolve) => busy.close(resolve));
});

test('a disk that fills up leaves whole receipts, and what an older run tore is cut off', async () => {
  await withHost(async (host) => {
    const key = enrolmentFile(host.enrolment);
    const receipts = fresh('receipts');
    const recording = writtenFile(fresh('recording'), randomBytes(64 * 20));
    const argv = ['--key', key, '--receipts', receipts, '--chunk', '64', 'file', recording];
    // Two blocks are no whole number of receipts: the write that reaches the limit is short.
    const full = await outcomeOf(
      'sh',
      '-c',
      'ulimit -f 2; exec "$@"',
      'sh',
      process.execPath,
      program,
      ...argv,
    );
    assert.is(full.code, EXIT.failed, full.stderr);
    assert.match(full.stderr, 'receipts-unwritable');
    const kept = readFileSync(receipts);
    assert.is(kept.length % RECEIPT_BYTES, 0);
    assert.ok(kept.length > 0);
    assert.is((await run('verify', receipts, '--key', key)).code, EXIT.ok);

    writeFileSync(receipts, Buffer.concat([kept, kept.subarray(0, 100)]));
    const fed = await run(...argv);
    assert.is(fed.code, EXIT.ok, fed.stderr);
    assert.match(fed.stdout, '100 bytes of a torn receipt were cut off');
    assert.is((await run('verify', receipts, '--key', key)).code, EXIT.ok);
  });
});

test('a file that holds no receipts is left as it is', async () => {
  await withHost(async (host) => {
    const key = enrolmentFile(host.enrolment);
    for (const content of [
      randomBytes(RECEIPT_BYTES),
      randomBytes(RECEIPT_BYTES + 7),
      Buffer.concat([Buffer.from('emreceip'), randomBytes(RECEIPT_BYTES)]),
      Buffer.from('emrec?'),
    ]) {
      const file = writtenFile(fresh('other'), content);
      const { code, stderr } = await run('--key', key, '--receipts', file, 'stdin');
      assert.is(code, EXIT.failed);
      assert.match(stderr, 'it holds something else than receipts');
      assert.equal(readFileSync(file), content);
    }
  });
});

test('a second signal ends it at once while a PKCS#11 library hangs, and the library with it', async () => {
  // Stands beside the program, where the real child would.
  const child = `import { writeFileSync } from 'node:fs';
    writeFileSync(process.argv[2], String(process.pid));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
  writtenFile(path.join(directory, 'package.json'), '{"type":"module"}');
  writtenFile(path.join(directory, 'pkcs11-child.js'), child);
  await withHost(async (host) => {
    const module = fresh('module');
    const source = ['pkcs11', '--module', module, '--token', 'any'];
    const running = start('--key', enrolmentFile(host.enrolment), ...source);
    await until(() => existsSync(module) && readFileSync(module, 'utf8') !== '');
    const pid = Number(readFileSync(module, 'utf8'));
    running.signal('SIGINT');
    running.signal('SIGTERM');
    assert.is((await running.ended).code, EXIT.failed);
    await until(() => !isRunning(pid));
  });
});

test('help and version', async () => {
  const help = await run('--help');
  assert.equal([help.code, help.stderr], [EXIT.ok, '']);
  assert.match(help.stdout, 'Usage: entropy-feed');
  assert.match((await run('--version')).stdout, /^entropy-feed \d+\.\d+\.\d+\n$/);
});

test.run();
