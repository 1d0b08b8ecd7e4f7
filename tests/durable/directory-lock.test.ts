import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { DirectoryLock } from '../../src/durable/directory-lock.ts';
import { hasProgram, testWhen } from '../requirements.ts';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'entropy-mixer-lock-'));
let directories = 0;

function newDirectory(): string {
  const directory = path.join(scratch, `d${directories++}`);
  mkdirSync(directory);
  return directory;
}

const withoutFlock = { lockFile: () => undefined };

/** flock by the flock(1) of util-linux, which locks the descriptor it inherits. */
const withFlock = {
  lockFile: (fd: number) =>
    spawnSync('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] }).status === 0,
};
const hasFlock = hasProgram('flock');

async function detailOfRefusal(take: Promise<DirectoryLock>): Promise<string> {
  try {
    await take;
  } catch (error) {
    assert.ok(isEntropyError(error, 'state-in-use'), String(error));
    return error.message;
  }
  throw new Error('the lock was given twice');
}

async function holderOf(directory: string): Promise<ChildProcess> {
  const holder = path.join(import.meta.dirname, 'fixtures', 'hold-lock.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', holder, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

for (const [name, available, dependencies] of [
  ['flock', hasFlock, withFlock],
  ['abstract socket', true, withoutFlock],
] as const) {
  testWhen(available)(`${name}: one holder at a time, named; free again when released`, async () => {
    const directory = newDirectory();
    const lock = await DirectoryLock.take({ directory }, dependencies);
    const detail = await detailOfRefusal(DirectoryLock.take({ directory }, dependencies));
    assert.is(detail, `${directory} is used by the process ${process.pid}`);
    await lock.release();
    await (await DirectoryLock.take({ directory }, dependencies)).release();
  });

  testWhen(available)(`${name}: other directories are free`, async () => {
    const locks = [newDirectory(), newDirectory()].map((directory) =>
      DirectoryLock.take({ directory }, dependencies),
    );
    for (const lock of await Promise.all(locks)) await lock.release();
  });
}

test('abstract socket: another way to the same directory is the same lock', async () => {
  const directory = newDirectory();
  symlinkSync(directory, `${directory}-link`);
  const lock = await DirectoryLock.take({ directory }, withoutFlock);
  await detailOfRefusal(DirectoryLock.take({ directory: `${directory}-link` }, withoutFlock));
  await lock.release();
});

test('abstract socket: another process is refused, and takes over once the holder was killed', async () => {
  const directory = newDirectory();
  const holder = await holderOf(directory);
  const detail = await detailOfRefusal(DirectoryLock.take({ directory }, withoutFlock));
  assert.is(detail, `${directory} is used by the process ${holder.pid}`);
  const ended = once(holder, 'exit');
  holder.kill('SIGKILL');
  await ended;
  await (await DirectoryLock.take({ directory }, withoutFlock)).release();
});

test('a directory that is not there cannot be locked', async () => {
  await DirectoryLock.take({ directory: path.join(scratch, 'missing') }, withoutFlock).then(
    () => assert.unreachable(),
    (error: unknown) => assert.ok(isEntropyError(error, 'state-unwritable')),
  );
});

test.after(() => rmSync(scratch, { recursive: true }));

test.run();
