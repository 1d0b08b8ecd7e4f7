import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock } from '../../src/base/clock.ts';
import type { ByteInput } from '../../src/feeder/byte-input.ts';
import { DeviceInput } from '../../src/feeder/device-input.ts';
import { FileInput } from '../../src/feeder/file-input.ts';
import { isHardwareGenerator } from '../../src/feeder/random-device.ts';
import { StreamInput } from '../../src/feeder/stream-input.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { hasProgram, isRoot, testWhen } from '../requirements.ts';
import { temporaryDirectory, writtenFile } from './temporary.ts';
import { until } from './until.ts';

const directory = temporaryDirectory();

/** Everything that the input gives, read in parts of the given size. */
async function readAll(input: ByteInput, partBytes = 1000): Promise<Buffer> {
  const parts: Buffer[] = [];
  const target = Buffer.alloc(partBytes);
  for (;;) {
    const count = await input.read(target);
    if (count === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(target.subarray(0, count)));
  }
}

function deviceInput(devicePath: string, clock = new SystemClock(), warnings: string[] = []): DeviceInput {
  return new DeviceInput({ path: devicePath }, { clock, warn: (text) => warnings.push(text) });
}

test('a file is given once, whole, in order', async () => {
  const content = randomBytes(10_001);
  const input = new FileInput({ path: writtenFile(path.join(directory, 'recording'), content) });
  await input.open();
  assert.equal(await readAll(input), content);
  assert.is(await input.read(Buffer.alloc(10)), 0);
  await input.close();
  assert.is(await input.read(Buffer.alloc(10)), 0);
});

test('a file that is missing, a directory, a device or a pipe is refused, with what to do instead', async () => {
  const fifo = path.join(directory, 'fifo');
  if (hasProgram('mkfifo')) execFileSync('mkfifo', [fifo]);
  mkdirSync(path.join(directory, 'folder'));
  for (const [file, says] of [
    [path.join(directory, 'missing'), 'ENOENT'],
    [path.join(directory, 'folder'), 'no regular file'],
    ['/dev/zero', 'device PATH'],
    ...(existsSync(fifo) ? [[fifo, 'stdin < PATH']] : []),
  ] as const) {
    const error = await rejectsWith(new FileInput({ path: file }).open(), 'input-failed');
    assert.match(error.message, says);
  }
});

test('the random device of this host is refused under any name and by any way in', async () => {
  for (const name of ['random', 'urandom']) {
    const link = path.join(directory, `link-to-${name}`);
    const linkToLink = path.join(directory, `link-to-link-to-${name}`);
    symlinkSync(`/dev/${name}`, link);
    symlinkSync(link, linkToLink);
    for (const place of [`/dev/${name}`, link, linkToLink]) {
      const error = await rejectsWith(deviceInput(place).open(), 'input-refused');
      assert.match(error.message, `is /dev/${name} of this host`);
      await rejectsWith(new FileInput({ path: place }).open(), 'input-refused');
    }
    const descriptor = openSync(`/dev/${name}`, 'r');
    const input = new StreamInput({ description: 'stdin', descriptor }, { stream: () => Readable.from([]) });
    await rejectsWith(input.open(), 'input-refused');
    closeSync(descriptor);
  }
});

testWhen(isRoot && hasProgram('mknod'))('the number of a device counts, not its name', async () => {
  const disguised = path.join(directory, 'my-hsm');
  const made = spawnSync('mknod', [disguised, 'c', '1', '9']);
  // Containers may refuse mknod, or opening what it made.
  if (made.status !== 0) return;
  const refused = await deviceInput(disguised)
    .open()
    .catch((error: unknown) => error);
  assert.ok(refused instanceof Error);
  if (!refused.message.includes('EACCES') && !refused.message.includes('EPERM'))
    assert.match(refused.message, '/dev/urandom');
});

test('a device is read as long as it gives', async () => {
  const input = deviceInput('/dev/zero');
  await input.open();
  const target = Buffer.alloc(100, 1);
  assert.is(await input.read(target), 100);
  assert.equal(target, Buffer.alloc(100));
  await input.close();
});

test('a regular file is no device', async () => {
  const file = writtenFile(path.join(directory, 'no-device'), 'x');
  const error = await rejectsWith(deviceInput(file).open(), 'input-failed');
  assert.match(error.message, 'file PATH');
});

testWhen(existsSync('/dev/ptmx'))(
  'a device that has nothing is asked again, and closing ends that',
  async () => {
    // The master of a pseudo-terminal to which nobody writes: a character device that never has anything.
    const clock = new FakeClock();
    const input = new DeviceInput({ path: '/dev/ptmx' }, { clock, warn: assert.unreachable });
    await input.open();
    const reading = input.read(Buffer.alloc(32)).catch((error: unknown) => error);
    await until(() => clock.pendingTimers === 1);
    await input.close();
    await clock.advance(100);
    assert.is(await reading, 0);
  },
);

test('/dev/hwrng is told apart by its number', () => {
  assert.is(isHardwareGenerator({ major: 10, minor: 183 }), true);
  assert.is(isHardwareGenerator({ major: 10, minor: 184 }), false);
  assert.is(isHardwareGenerator({ major: 1, minor: 183 }), false);
});

testWhen(isRoot && existsSync('/dev/hwrng'))(
  'a generator that the kernel reads by itself brings a warning, one that it does not read brings none',
  async () => {
    for (const [current, expected] of [
      ['virtio_rng.0\n', ['the kernel of this host reads virtio_rng.0']],
      ['none\n', []],
      ['', []],
    ] as const) {
      const warnings: string[] = [];
      const input = new DeviceInput(
        {
          path: '/dev/hwrng',
          currentGeneratorPath: writtenFile(path.join(directory, 'rng_current'), current),
        },
        { clock: new SystemClock(), warn: (text) => warnings.push(text.split(' through')[0] ?? '') },
      );
      await input.open();
      await input.close();
      assert.equal(warnings, [...expected]);
    }
  },
);

test('a stream is given whole and in order, and what it handed over is wiped', async () => {
  const chunks = [randomBytes(10), randomBytes(3000), randomBytes(1)];
  const content = Buffer.concat(chunks);
  const input = new StreamInput({ description: 'stdin' }, { stream: () => Readable.from(chunks) });
  await input.open();
  assert.equal(await readAll(input, 256), content);
  assert.equal(Buffer.concat(chunks), Buffer.alloc(content.length));
  await input.close();
});

test('closing a stream that gives nothing ends the read', async () => {
  const input = new StreamInput({ description: 'stdin' }, { stream: () => new PassThrough() });
  await input.open();
  const reading = input.read(Buffer.alloc(32));
  await input.close();
  assert.is(await reading, 0);
});

test('a stream that breaks is told as such', async () => {
  const stream = new PassThrough();
  const input = new StreamInput({ description: 'stdin' }, { stream: () => stream });
  await input.open();
  stream.destroy(new Error('reset by peer'));
  const error = await rejectsWith(input.read(Buffer.alloc(32)), 'input-failed');
  assert.match(error.message, 'stdin: reset by peer');
});

test.run();
