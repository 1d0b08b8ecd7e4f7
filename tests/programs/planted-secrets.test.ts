import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ExternalReport } from '../../src/contract/external.ts';
import { readEnrolment } from '../../src/feeder/enrolment.ts';
import { encodeEnrolment } from '../../src/protocol/enrolment-file.ts';
import { decodeRecoveryKey } from '../../src/state/recovery-key.ts';
import { hasAddon, hasProgram, isRoot, testWhen } from '../requirements.ts';
import { keysOnDisk } from './archive-copy.ts';
import { copyOfInstallation, type DaemonProcess, ROOT, withDaemon } from './daemon-process.ts';
import { feedOpenly } from './known-feeder.ts';
import { occurrencesIn } from './process-memory.ts';

/** Secrets that were used, looked for wherever they might have been left. */

/** 40,960 external bits a second are drawn: what is sent is used up within seconds. */
const DRAINING_MASK_8 = [
  '--entropy-sources=8',
  '--memory-cache-size=64',
  '--storage-cache-size=256',
  '--feed-interval=1',
  '--feed-bytes=4096',
  '--log-level=debug',
];
/** More than the memory cache holds, so that some is stored, read again and spent. */
const PAYLOADS = 10;
const PAYLOAD_BYTES = 8192;
const PATIENCE_MS = 20_000;
const PASSWORD = 'a password that is planted';

type Secrets = Map<string, Buffer>;

/** A secret in the forms in which it may be left: bytes, hexadecimal digits, base64. */
function formsOf(name: string, secret: Buffer): [string, Buffer][] {
  return [
    [name, secret],
    [`${name}, hex`, Buffer.from(secret.toString('hex'))],
    [`${name}, base64`, Buffer.from(secret.toString('base64').slice(0, 40))],
  ];
}

/** Begin, middle and end: an allocator overwrites the ends of what it was given back. */
function partsOf(name: string, bytes: Buffer): [string, Buffer][] {
  const parts = { begin: 0, middle: bytes.length / 2, end: bytes.length - 48 };
  return Object.entries(parts).flatMap(([part, at]) =>
    formsOf(`${name}, its ${part}`, bytes.subarray(at, at + 48)),
  );
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** Where of the places that others can read a secret stands; every event is in the log. */
function leaksOf(daemon: DaemonProcess, secrets: Secrets): string[] {
  const pid = daemon.child.pid ?? 0;
  const places = [...filesIn(daemon.stateDirectory), `/proc/${pid}/cmdline`, `/proc/${pid}/environ`];
  const contents = [
    ...places.map((place) => [place, readFileSync(place)] as const),
    ['log', Buffer.from(daemon.output)] as const,
  ];
  return contents.flatMap(([place, bytes]) =>
    [...secrets].filter(([, secret]) => bytes.includes(secret)).map(([name]) => `${name} in ${place}`),
  );
}

/** What stands in the daemon's memory more often than it may. */
function left(daemon: DaemonProcess, secrets: Secrets, times = 0): string[] {
  return [...occurrencesIn(daemon.child.pid ?? 0, secrets)]
    .filter(([, found]) => found > times)
    .map(([name, found]) => `${name}: ${found}`);
}

/** As the list shows it. */
function recoveryKey(daemon: DaemonProcess): { readonly digits: Buffer; readonly bytes: Buffer } {
  const { stdout } = daemon.control('system', 'settings', 'encryption', 'recovery', 'list');
  const digits = Buffer.from(stdout.split('\n')[2]?.split('  ')[1] ?? '');
  return { digits, bytes: decodeRecoveryKey(digits) };
}

/** Passwords, tokens, and the bytes of a feeder that are worth nothing and mixed at once. */
async function useAccess(daemon: DaemonProcess): Promise<Secrets> {
  const file = (name: string) => path.join(daemon.directory, name);
  writeFileSync(file('password'), `${PASSWORD}\n`, { mode: 0o600 });
  daemon.control('system', 'account', 'add', '-i', 'someone', '--password-file', file('password'));
  daemon.control('mixer', 'token', 'create', 'someone', '--scope=observe', '-o', file('token'));
  const payload = randomFillSync(Buffer.alloc(PAYLOAD_BYTES));
  // What was absorbed last, up to a block of SHA-512, stands in the pool until more comes.
  writeFileSync(file('payload'), Buffer.concat([payload, randomFillSync(Buffer.alloc(256))]));
  const keyFile = daemon.enroll('beacon', 'public', '0');
  const { key } = readEnrolment(keyFile);
  const feeder = daemon.feed(keyFile, ['--once', 'file', file('payload')]);
  assert.is((await feeder.ended).code, 0, feeder.stderr);
  assert.is(daemon.control('mixer', 'feeder', 'revoke', 'beacon').code, 0);
  return new Map([
    ...formsOf('key of the beacon', key),
    ...partsOf('payload of the beacon', payload),
    ...formsOf('password', Buffer.from(PASSWORD)),
    ['token', Buffer.from(readFileSync(file('token'), 'latin1').trim())],
  ]);
}

/** A feeder whose bytes are cached, stored, read again and spent; every key of its session. */
async function useFeed(daemon: DaemonProcess): Promise<Secrets> {
  const enrolment = readEnrolment(daemon.enroll('openly', 'noise', '1'));
  const payloads = Array.from({ length: PAYLOADS }, () => randomFillSync(Buffer.alloc(PAYLOAD_BYTES)));
  const session = await feedOpenly(daemon.feedUrl, enrolment, payloads);
  return new Map([
    ...Object.entries(session).flatMap(([name, key]) => formsOf(name, key)),
    ...payloads.flatMap((payload, index) => partsOf(`payload ${index}`, payload)),
    ...formsOf('feeder key', enrolment.key),
  ]);
}

async function drained(daemon: DaemonProcess): Promise<void> {
  for (let feeds = daemon.output.split('kernel.fed').length; ; feeds++) {
    const { body } = await daemon.request('GET', '/v1/external');
    const { memoryBytes, storedBytes } = body as ExternalReport;
    if (memoryBytes + storedBytes < 320) return;
    await daemon.says('kernel.fed', feeds);
  }
}

testWhen(isRoot && hasAddon)(
  'used secrets stand neither on disk, nor in arguments, environment and log, nor in memory',
  async () => {
    await withDaemon({ arguments: DRAINING_MASK_8 }, async (daemon) => {
      const used = await useFeed(daemon);
      const before = recoveryKey(daemon);
      const first = await keysOnDisk(daemon.stateDirectory, before.bytes);
      assert.is(daemon.control('system', 'settings', 'encryption', 'recovery', 'rotate').code, 0);
      await drained(daemon);
      assert.is(daemon.control('mixer', 'feeder', 'revoke', 'openly').code, 0);
      for (const [name, secret] of await useAccess(daemon)) used.set(name, secret);
      const after = recoveryKey(daemon);
      const now = await keysOnDisk(daemon.stateDirectory, after.bytes);

      for (const [name, { digits, bytes }] of Object.entries({ before, after }))
        for (const form of [...formsOf(`recovery key ${name}`, bytes), [`${name}, digits`, digits] as const])
          used.set(...(form as [string, Buffer]));
      used.set('archive key before the rotation', first.archiveKey);
      const spent = first.segmentKeys.filter((key, segment) => !now.segmentKeys[segment]?.equals(key));
      assert.ok(spent.length > 0, 'a segment was opened');
      spent.forEach((key, index) => used.set(`key ${index} of a spent segment`, key));

      assert.equal(leaksOf(daemon, used), []);
      assert.equal(left(daemon, used), []);
      // What is needed still, and the search finds it: once for each that needs it.
      const needed: Secrets = new Map([
        ['archive key', now.archiveKey],
        ['key of a segment', now.segmentKeys.at(-1)!],
      ]);
      assert.equal(left(daemon, needed), ['archive key: 1', 'key of a segment: 1']);
      assert.equal(leaksOf(daemon, needed), []);
    });
  },
);

/**
 * Runs a program, waits until it says this, kills it so, and gives what it and its shell said. bash asks the kernel whether there was a
 * dump, wherever such are kept; 64 KiB of one are enough.
 */
async function crashed(program: readonly string[], saying: string, signal: NodeJS.Signals): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'crash-'));
  const script = 'ulimit -c 64 && cd "$0" || exit 1; "$@" & echo "pid=$!"; wait $!; exit 0';
  const shell = spawn('bash', ['-c', script, directory, process.execPath, ...program]);
  let [output, killed] = ['', false];
  const hear = (chunk: Buffer): void => {
    output += chunk.toString();
    if (killed || !output.includes(saying)) return;
    killed = true;
    process.kill(Number(/^pid=(\d+)$/m.exec(output)?.[1]), signal);
  };
  shell.stdout.on('data', hear);
  shell.stderr.on('data', hear);
  const patience = setTimeout(() => shell.kill('SIGKILL'), PATIENCE_MS);
  await once(shell, 'close');
  clearTimeout(patience);
  rmSync(directory, { recursive: true });
  return output;
}

function crashedDaemon(signal: NodeJS.Signals, root = ROOT): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'entropyd-'));
  const program = path.join(root, 'out', 'entropyd.js');
  const places = [`--state-dir=${directory}/state`, `--runtime-dir=${directory}/run`, '--listen=127.0.0.1:0'];
  return crashed([program, ...places], 'daemon.ready', signal).finally(() =>
    rmSync(directory, { recursive: true }),
  );
}

const mayCrash = hasAddon && hasProgram('bash');

testWhen(mayCrash)('a crash leaves no core; without the native part it may, which is said once', async () => {
  for (const signal of ['SIGABRT', 'SIGSEGV'] as const) {
    const output = await crashedDaemon(signal);
    assert.match(output, /Aborted|Segmentation fault/);
    assert.not.match(output, /core dumped/);
  }
  const root = copyOfInstallation(['build/native']);
  const output = await crashedDaemon('SIGSEGV', root);
  rmSync(root, { recursive: true });
  assert.match(output, /Segmentation fault +\(core dumped\)/);
  assert.is(output.split('core dumps are not forbidden').length, 2);
});

testWhen(mayCrash)('nor does entropy-feed', async () => {
  const key = path.join(mkdtempSync(path.join(tmpdir(), 'feeder-')), 'key');
  const enrolment = {
    url: 'ws://127.0.0.1:1/v1/feed',
    host: Buffer.alloc(16, 1),
    feeder: 'crashing',
    receiptKey: Buffer.alloc(32, 2),
    key: Buffer.alloc(32, 3),
  };
  writeFileSync(key, encodeEnrolment(enrolment), { mode: 0o600 });
  const program = path.join(ROOT, 'out', 'entropy-feed.js');
  const output = await crashed([program, '--key', key, 'device', '/dev/zero'], '"retry"', 'SIGSEGV');
  rmSync(path.dirname(key), { recursive: true });
  assert.match(output, /Segmentation fault/);
  assert.not.match(output, /core dumped/);
});

test.run();
