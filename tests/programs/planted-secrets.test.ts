import { randomFillSync } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeRecoveryKey } from '../../src/state/recovery-key.ts';
import { hasAddon, isRoot, testWhen } from '../requirements.ts';
import { type DaemonProcess, withDaemon } from './daemon-process.ts';
import { occurrencesIn } from './process-memory.ts';

/** Secrets that were used, looked for wherever they might have been left. */

const MASK_8 = [
  '--entropy-sources=8',
  '--memory-cache-size=64',
  '--storage-cache-size=256',
  '--log-level=debug',
];

/** A secret in the forms in which it may be left: bytes, hexadecimal digits, base64. */
function formsOf(name: string, secret: Buffer): [string, Buffer][] {
  return [
    [name, secret],
    [`${name}, hex`, Buffer.from(secret.toString('hex'))],
    [`${name}, base64`, Buffer.from(secret.toString('base64').slice(0, 40))],
  ];
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** Where of the places that others can read a secret stands. */
function leaksOf(daemon: DaemonProcess, secrets: ReadonlyMap<string, Buffer>): string[] {
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

async function use(daemon: DaemonProcess): Promise<Map<string, Buffer>> {
  const keyFile = daemon.enroll('beacon', 'public', '0');
  const payload = randomFillSync(Buffer.alloc(8192));
  const payloadFile = path.join(daemon.directory, 'payload');
  writeFileSync(payloadFile, payload);
  const feeder = daemon.feed(keyFile, ['--once', 'file', payloadFile]);
  assert.is((await feeder.ended).code, 0, feeder.stderr);
  const feederKey = /^key ([0-9a-f]{64})$/m.exec(readFileSync(keyFile, 'latin1'))?.[1] ?? '';
  assert.is(daemon.control('mixer', 'feeder', 'revoke', 'beacon').code, 0);
  const { stdout } = daemon.control('system', 'settings', 'encryption', 'recovery', 'list');
  const digits = Buffer.from(stdout.split('\n')[2]?.split('  ')[1] ?? '');
  return new Map([
    ...formsOf('feeder key', Buffer.from(feederKey, 'hex')),
    ...formsOf('recovery key', decodeRecoveryKey(digits)),
    ['recovery key, digits', digits],
    ...formsOf('payload', payload.subarray(0, 48)),
    ...formsOf('payload, its end', payload.subarray(-48)),
  ]);
}

testWhen(isRoot && hasAddon)(
  'used secrets stand neither on disk, nor in arguments, environment and log, nor in memory',
  async () => {
    await withDaemon({ arguments: MASK_8 }, async (daemon) => {
      const secrets = await use(daemon);
      assert.equal(leaksOf(daemon, secrets), []);
      const left = [...occurrencesIn(daemon.child.pid ?? 0, secrets)].filter(([, times]) => times > 0);
      assert.equal(left, []);
      // That the search finds what is there: the daemon's own arguments.
      const own = occurrencesIn(
        daemon.child.pid ?? 0,
        new Map([['own', Buffer.from(daemon.stateDirectory)]]),
      );
      assert.ok((own.get('own') ?? 0) > 0);
    });
  },
);

test.run();
