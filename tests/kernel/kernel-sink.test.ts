import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EntropyError } from '../../src/base/errors.ts';
import { EventBus } from '../../src/base/events.ts';
import type { KernelReply, KernelWriterClient } from '../../src/hardware/kernel-writer-client.ts';
import { LinuxKernelSink } from '../../src/kernel/kernel-sink.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';

const done: KernelReply = { error: '', entropyBeforeBits: 256, entropyAfterBits: 256 };

/** A kernel-writer that answers what the test wants. */
function writer(add: () => Promise<KernelReply>, reseed = () => Promise.resolve(done)) {
  const calls: string[] = [];
  const client = {
    add: (bytes: Uint8Array, creditBits: number) => (calls.push(`add ${bytes.length} ${creditBits}`), add()),
    reseed: () => (calls.push('reseed'), reseed()),
    close: () => (calls.push('close'), Promise.resolve()),
  };
  return { calls, client: client as unknown as KernelWriterClient };
}

function sinkOver(startWriter: (() => KernelWriterClient) | undefined) {
  const events = new EventBus({ capacity: 10 }, { clock: new FakeClock(), counters: new Counters() });
  const devicePath = path.join(mkdtempSync(path.join(tmpdir(), 'sink-')), 'random');
  writeFileSync(devicePath, '');
  const sink = new LinuxKernelSink({ startWriter, events, devicePath });
  return { sink, devicePath, told: () => events.since(0).records.map((record) => record.id) };
}

test('bytes are added with their credit, then the kernel reseeds', async () => {
  const { calls, client } = writer(() => Promise.resolve(done));
  const { sink, told } = sinkOver(() => client);
  const result = await sink.feed(new Uint8Array(64), 512);
  assert.equal(calls, ['add 64 512', 'reseed']);
  assert.equal(result, { path: 'ioctl', creditEffectiveBits: 0, reseed: 'done' });
  assert.equal(told(), []);
});

test('effective credit is what the kernel raised its own count by', async () => {
  const before = { error: '', entropyBeforeBits: 100, entropyAfterBits: 228 };
  const { client } = writer(() => Promise.resolve(before));
  const result = await sinkOver(() => client).sink.feed(new Uint8Array(64), 128);
  assert.is(result.creditEffectiveBits, 128);
});

test('a reseed that the kernel refuses is told by its errno; the bytes are in all the same', async () => {
  const { client } = writer(
    () => Promise.resolve(done),
    () => Promise.resolve({ ...done, error: 'ENODATA' }),
  );
  assert.is((await sinkOver(() => client).sink.feed(new Uint8Array(64), 0)).reseed, 'ENODATA');
});

test('without CAP_SYS_ADMIN the same bytes are written without credit, and that is said once', async () => {
  const { calls, client } = writer(() => Promise.resolve({ ...done, error: 'EPERM' }));
  const { sink, devicePath, told } = sinkOver(() => client);
  const bytes = new Uint8Array(64).fill(7);
  assert.equal(await sink.feed(bytes, 512), { path: 'write', creditEffectiveBits: 0, reseed: 'unavailable' });
  await sink.feed(bytes, 512);
  assert.equal(calls, ['add 64 512', 'close']);
  assert.equal([...readFileSync(devicePath)], [...bytes]);
  assert.equal(told(), ['daemon.uncredited']);
});

test('without a kernel-writer it writes from the start', async () => {
  const { sink, told } = sinkOver(undefined);
  assert.is((await sink.feed(new Uint8Array(32), 0)).path, 'write');
  assert.equal(told(), ['daemon.uncredited']);
});

test('any other errno is an error with its name, and nothing is written by the other way', async () => {
  const { client } = writer(() => Promise.resolve({ ...done, error: 'EFAULT' }));
  const { sink, devicePath } = sinkOver(() => client);
  const error = await rejectsWith(sink.feed(new Uint8Array(32), 0), 'kernel-refused');
  assert.match(error.message, 'EFAULT');
  assert.is(readFileSync(devicePath).length, 0);
});

test('a kernel-writer that worked and is lost fails that feed; the next starts another', async () => {
  let starts = 0;
  const answers = [
    Promise.resolve(done),
    Promise.reject(new EntropyError('kernel-writer-lost', 'killed by SIGKILL')),
  ];
  answers[1]?.catch(() => undefined);
  const first = writer(() => answers.shift() ?? Promise.resolve(done));
  const second = writer(() => Promise.resolve(done));
  const { sink, told } = sinkOver(() => (starts++ === 0 ? first.client : second.client));
  await sink.feed(new Uint8Array(32), 0);
  await rejectsWith(sink.feed(new Uint8Array(32), 0), 'kernel-writer-lost');
  assert.is((await sink.feed(new Uint8Array(32), 0)).path, 'ioctl');
  assert.is(starts, 2);
  assert.equal(told(), ['kernel.writer.lost']);
});

test('a kernel-writer that never worked here is given up: the same bytes are written without credit', async () => {
  const { client } = writer(() => Promise.reject(new EntropyError('kernel-writer-lost', 'exit code 71')));
  const { sink, devicePath, told } = sinkOver(() => client);
  const bytes = new Uint8Array(32).fill(5);
  assert.is((await sink.feed(bytes, 256)).path, 'write');
  assert.is((await sink.feed(bytes, 256)).path, 'write');
  assert.equal([...readFileSync(devicePath)], [...bytes]);
  assert.equal(told(), ['kernel.writer.lost', 'daemon.uncredited']);
});

test('lost between adding and reseeding: the feed stands, and the reseed is told as unknown', async () => {
  const { client } = writer(
    () => Promise.resolve({ ...done, entropyBeforeBits: 0, entropyAfterBits: 128 }),
    () => Promise.reject(new EntropyError('kernel-writer-lost', 'no answer in 5 s')),
  );
  const result = await sinkOver(() => client).sink.feed(new Uint8Array(32), 128);
  assert.equal(result, { path: 'ioctl', creditEffectiveBits: 128, reseed: 'kernel-writer-lost' });
});

test('a device that cannot be written is an error', async () => {
  const events = new EventBus({ capacity: 10 }, { clock: new FakeClock(), counters: new Counters() });
  const sink = new LinuxKernelSink({ startWriter: undefined, events, devicePath: '/nonexistent/random' });
  await rejectsWith(sink.feed(new Uint8Array(32), 0), 'kernel-refused');
});

test.run();
