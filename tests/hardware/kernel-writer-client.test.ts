import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { SystemClock, type Clock } from '../../src/base/clock.ts';
import { EntropyError } from '../../src/base/errors.ts';
import { KernelWriterClient } from '../../src/hardware/kernel-writer-client.ts';
import { errnoName } from '../../src/hardware/kernel-writer-protocol.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { temporaryFolder } from '../native/compile.ts';
import { hasKernelWriter, testWhen } from '../requirements.ts';
import { holdsSysAdmin, KERNEL_WRITER_PATH, RecordingLog, until } from './parts.ts';

interface Started {
  client: KernelWriterClient;
  log: RecordingLog;
  lost: string[];
}

const started: KernelWriterClient[] = [];

/** None outlives its test, passed or failed. */
test.after.each(async () => {
  const clients = started.splice(0);
  await Promise.all(clients.map((client) => client.close()));
});

function start(path: string, clock: Clock = new SystemClock()): Started {
  const log = new RecordingLog();
  const lost: string[] = [];
  const client = KernelWriterClient.start({ path }, { clock, log, onLost: (reason) => lost.push(reason) });
  started.push(client);
  return { client, log, lost };
}

/** A writer that misbehaves: `request()` waits for the next header; `reply(...)` sends five numbers. */
function fakeWriter(script: string): string {
  const file = join(temporaryFolder(), 'fake-writer');
  writeFileSync(
    file,
    `#!${process.execPath}
     const fs = require('node:fs');
     const request = () => { const b = Buffer.alloc(65536); const n = fs.readSync(3, b); return n === 0 ? process.exit(0) : b.subarray(0, n); };
     const reply = (...words) => fs.writeSync(3, Buffer.from(new Int32Array(words).buffer));
     const MAGIC = 0x31574b45;
     ${script}`,
  );
  chmodSync(file, 0o755);
  return file;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EntropyError) return error.code;
    throw error;
  }
  return 'no error';
}

const built = testWhen(hasKernelWriter);

testWhen(hasKernelWriter && holdsSysAdmin)('adds, reseeds and queries, one after the other', async () => {
  const { client, lost } = start(KERNEL_WRITER_PATH);
  const bytes = new Uint8Array(64).fill(3);
  const [added, reseeded, queried] = await Promise.all([
    client.add(bytes, 0),
    client.reseed(),
    client.query(),
  ]);
  assert.is(added.error, '');
  assert.ok(added.entropyBeforeBits >= 0 && added.entropyAfterBits >= added.entropyBeforeBits);
  assert.is(reseeded.error, '');
  assert.is(queried.entropyAfterBits, reseeded.entropyAfterBits);
  assert.equal(bytes, new Uint8Array(64).fill(3), "the caller's bytes stay the caller's to wipe");
  await client.close();
  assert.equal(lost, [], 'closing is not losing');
});

built('closing ends the process, is idempotent, and refuses what comes later', async () => {
  const { client } = start(KERNEL_WRITER_PATH);
  await client.query();
  const { pid = 0 } = client;
  await Promise.all([client.close(), client.close()]);
  assert.throws(() => readFileSync(`/proc/${pid}/status`));
  assert.is(await codeOf(client.query()), 'kernel-writer-lost');
});

built('closing lets the request under way finish and refuses those that wait', async () => {
  const { client } = start(KERNEL_WRITER_PATH);
  const first = client.query();
  const second = codeOf(client.query());
  await client.close();
  assert.is((await first).error, '');
  assert.is(await second, 'kernel-writer-lost');
});

test('an end of the process rejects all requests, is told once, with its reason', async () => {
  const { client, lost } = start(fakeWriter('request(); process.exit(7);'));
  const codes = await Promise.all([codeOf(client.query()), codeOf(client.reseed())]);
  assert.equal(codes, ['kernel-writer-lost', 'kernel-writer-lost']);
  assert.equal(lost, ['it ended with exit code 7']);
  await client.close();
  assert.is(lost.length, 1);
});

test('a killed process is told by its signal', async () => {
  const { client, lost } = start(fakeWriter("request(); process.kill(process.pid, 'SIGKILL');"));
  await codeOf(client.query());
  assert.equal(lost, ['it was ended by SIGKILL']);
});

test('a program that is not there is lost, not an exception out of nowhere', async () => {
  const { client, lost } = start('/nonexistent/kernel-writer');
  assert.is(await codeOf(client.query()), 'kernel-writer-lost');
  assert.match(lost[0] ?? '', /cannot be started: .*ENOENT/);
  await client.close();
});

test('an answer that comes too late is none: the process is killed after 5 s', async () => {
  const clock = new FakeClock();
  const { client, lost } = start(fakeWriter('request(); for (;;) request();'), clock);
  const code = codeOf(client.query());
  await clock.advance(4_999);
  assert.equal(lost, []);
  await clock.advance(1);
  assert.is(await code, 'kernel-writer-lost');
  assert.equal(lost, ['no answer within 5000 ms']);
  await client.close();
});

test('a process that does not end by itself is killed after 2 s', async () => {
  const clock = new FakeClock();
  const deaf = fakeWriter(
    'request(); reply(MAGIC, 3, 0, 1, 1); for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e6);',
  );
  const { client } = start(deaf, clock);
  await client.query();
  assert.is(clock.pendingTimers, 0, 'an answer ends its time limit');
  let closed = false;
  const closing = client.close().then(() => (closed = true));
  await clock.advance(1_999);
  assert.is(closed, false);
  await clock.advance(1);
  await closing;
  assert.is(clock.pendingTimers, 0);
});

const wrongAnswers: Record<string, string> = {
  'another magic': 'reply(1, 3, 0, 0, 0)',
  'another operation': 'reply(MAGIC, 2, 0, 0, 0)',
  'a negative errno': 'reply(MAGIC, 3, -1, 0, 0)',
  'more than one answer': 'reply(MAGIC, 3, 0, 0, 0, MAGIC)',
};

for (const [what, answer] of Object.entries(wrongAnswers)) {
  test(`an answer of ${what} loses it`, async () => {
    const { client, lost } = start(fakeWriter(`request(); ${answer}; request();`));
    assert.is(await codeOf(client.query()), 'kernel-writer-lost');
    assert.match(lost[0] ?? '', /answer/);
    await client.close();
  });
}

test('an answer that nobody asked for loses it', async () => {
  const { client, lost } = start(fakeWriter('reply(MAGIC, 3, 0, 0, 0); request();'));
  await until(() => lost.length > 0, 'the loss');
  assert.equal(lost, ['it answered what was not asked']);
  await client.close();
});

test('an answer may come in pieces, and an errno has its name', async () => {
  const pieces =
    'const b = Buffer.from(new Int32Array([MAGIC, 2, 61, 5, 6]).buffer); for (const x of b) fs.writeSync(3, Buffer.of(x));';
  const { client } = start(fakeWriter(`request(); ${pieces} request();`));
  assert.equal(await client.reseed(), { error: 'ENODATA', entropyBeforeBits: 5, entropyAfterBits: 6 });
  await client.close();
});

test('64 requests wait, one more is refused; none waits for ever', async () => {
  const { client } = start(fakeWriter('for (;;) request();'));
  const under = codeOf(client.query());
  const waiting = Array.from({ length: 64 }, () => codeOf(client.query()));
  assert.is(await codeOf(client.query()), 'engine-busy');
  await client.close();
  assert.equal(new Set(await Promise.all([under, ...waiting])), new Set(['kernel-writer-lost']));
});

test('chunks and credit outside their bounds are programmer errors, before any byte is sent', async () => {
  const { client } = start(fakeWriter('for (;;) request();'));
  const isRangeError = (error: unknown) => error instanceof RangeError;
  assert.throws(() => client.add(new Uint8Array(0), 0), isRangeError);
  assert.throws(() => client.add(new Uint8Array(4097), 0), isRangeError);
  for (const credit of [-1, 65, 0.5, NaN])
    assert.throws(() => client.add(new Uint8Array(8), credit), isRangeError);
  await client.close();
});

test('its environment is empty, and of what it says at most 4,096 bytes are logged', async () => {
  const talkative = fakeWriter(
    "console.error(Object.keys(process.env).join()); console.error('y'.repeat(100_000)); request(); reply(MAGIC, 3, 0, 0, 0); request();",
  );
  const { client, log } = start(talkative);
  await client.query();
  await client.close();
  assert.ok(!log.lines.join().includes('PATH'));
  const logged = log.lines.join('').length;
  assert.ok(logged > 4_000 && logged <= 4_096);
});

test('the copy of a payload is wiped once it is written', async () => {
  const frames: Uint8Array[] = [];
  const sockets: { write: unknown } = Socket.prototype;
  const original = sockets.write;
  sockets.write = function (this: Socket, frame: Uint8Array, ...rest: unknown[]): unknown {
    frames.push(frame);
    return Reflect.apply(original as (...values: unknown[]) => unknown, this, [frame, ...rest]);
  };
  try {
    const { client } = start(
      fakeWriter('const got = request(); reply(MAGIC, 1, 0, got.length, got[16]); request();'),
    );
    const { entropyBeforeBits: frameBytes, entropyAfterBits: firstByte } = await client.add(
      new Uint8Array(64).fill(9),
      0,
    );
    assert.equal([frameBytes, firstByte], [80, 9], 'it was sent');
    assert.is(frames.length, 1);
    assert.ok(frames[0] !== undefined && isAllZero(frames[0]));
  } finally {
    sockets.write = original;
  }
});

test('errno names', () => {
  assert.is(errnoName(0), '');
  assert.is(errnoName(1), 'EPERM');
  assert.is(errnoName(11), 'EAGAIN');
  assert.is(errnoName(4095), 'errno 4095');
});

test.run();
