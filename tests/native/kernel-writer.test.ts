import fc from 'fast-check';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeRequest, MAGIC, OPERATIONS } from '../../src/hardware/kernel-writer-protocol.ts';
import { count } from '../counts.ts';
import { holdsSysAdmin, KERNEL_WRITER_PATH, until } from '../hardware/parts.ts';
import { hasKernelWriter, hasProgram, isRoot, testWhen } from '../requirements.ts';
import { temporaryFolder } from './compile.ts';

/** A descriptor that a careless parent would leave open to it. */
const NOT_FOR_IT = openSync('/dev/null', 'r');

/** The program itself, spoken to byte by byte: what a broken or hostile daemon could send. */
class Writer {
  static readonly started: Writer[] = [];
  readonly child: ChildProcess;
  readonly socket: Socket;
  readonly exit: Promise<{ code: number | null; signal: string | null }>;
  #received = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(...command: string[]) {
    const [program = KERNEL_WRITER_PATH, ...args] = command;
    this.child = spawn(program, args, {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', NOT_FOR_IT, NOT_FOR_IT],
    });
    Writer.started.push(this);
    const socket: unknown = this.child.stdio[3];
    if (!(socket instanceof Socket)) throw new Error('no socket');
    this.socket = socket;
    this.socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.exit = new Promise((resolve) =>
      this.child.once('close', (code, signal) => resolve({ code, signal })),
    );
  }

  send(...words: number[]): void {
    this.socket.write(Buffer.from(new Uint32Array(words).buffer));
  }

  /** The five numbers of the next reply. */
  async reply(): Promise<readonly number[]> {
    while (this.#received.length < 20) {
      await Promise.race([
        new Promise<void>((resolve) => (this.#wake = resolve)),
        this.exit.then(() => this.#tooShort()),
      ]);
    }
    const reply = [0, 4, 8, 12, 16].map((offset) => this.#received.readInt32LE(offset));
    this.#received = this.#received.subarray(20);
    return reply;
  }

  async end() {
    this.socket.end();
    return await this.exit;
  }

  #tooShort(): void {
    if (this.#received.length < 20)
      throw new Error(`it ended after ${this.#received.length} bytes of a reply`);
  }
}

/** None outlives its test, passed or failed. */
test.after.each(() => {
  for (const { child } of Writer.started.splice(0)) child.kill('SIGKILL');
});

const { EINVAL, EPERM } = constants.errno;
const built = testWhen(hasKernelWriter);
const privileged = testWhen(hasKernelWriter && holdsSysAdmin);

privileged('adds, reseeds and tells the count', async () => {
  const writer = new Writer();
  writer.socket.write(encodeRequest(OPERATIONS.add, new Uint8Array(4096).fill(7), 0));
  const [magic, operation, errno, before = -1, after = -1] = await writer.reply();
  assert.equal([magic, operation, errno], [MAGIC, OPERATIONS.add, 0]);
  assert.ok(before >= 0 && after >= before && after <= 256);

  writer.send(MAGIC, OPERATIONS.reseed, 0, 0);
  assert.equal((await writer.reply()).slice(0, 3), [MAGIC, OPERATIONS.reseed, 0]);
  writer.send(MAGIC, OPERATIONS.query, 0, 0);
  assert.equal((await writer.reply()).slice(0, 3), [MAGIC, OPERATIONS.query, 0]);
  assert.equal(await writer.end(), { code: 0, signal: null });
});

/** As an ordinary user, whoever runs the tests. */
function unprivilegedWriter(): Writer {
  if (!isRoot) return new Writer();
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  copyFileSync(KERNEL_WRITER_PATH, join(folder, 'kernel-writer'));
  return new Writer(
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    join(folder, 'kernel-writer'),
  );
}

const unprivileged = testWhen(hasKernelWriter && (!isRoot || hasProgram('setpriv')));

unprivileged('without CAP_SYS_ADMIN the kernel says EPERM', async () => {
  const writer = unprivilegedWriter();
  writer.socket.write(encodeRequest(OPERATIONS.add, new Uint8Array(64), 512));
  assert.is((await writer.reply())[2], EPERM);
  writer.send(MAGIC, OPERATIONS.reseed, 0, 0);
  assert.is((await writer.reply())[2], EPERM);
  writer.send(MAGIC, OPERATIONS.query, 0, 0);
  const [, , errno, before = -1] = await writer.reply();
  assert.is(errno, 0, 'the count can still be read');
  assert.ok(before >= 0);
  assert.is((await writer.end()).code, 0);
});

built('a request torn into single bytes is one request', async () => {
  const writer = new Writer();
  writer.socket.setNoDelay(true);
  for (const byte of encodeRequest(OPERATIONS.query, new Uint8Array(0), 0)) {
    await new Promise((resolve) => writer.socket.write(Uint8Array.of(byte), resolve));
  }
  assert.equal((await writer.reply()).slice(0, 3), [MAGIC, OPERATIONS.query, 0]);
  writer.socket.write(
    Buffer.concat([1, 2, 3].map(() => encodeRequest(OPERATIONS.query, new Uint8Array(0), 0))),
  );
  for (let i = 0; i < 3; i++) assert.is((await writer.reply())[2], 0, 'and three at once are three');
  assert.is((await writer.end()).code, 0);
});

const refused: Record<string, readonly [number, number, number, number]> = {
  'another magic': [MAGIC ^ 1, OPERATIONS.query, 0, 0],
  'operation 0': [MAGIC, 0, 0, 0],
  'operation 4': [MAGIC, 4, 0, 0],
  'no bytes to add': [MAGIC, OPERATIONS.add, 0, 0],
  '4,097 bytes': [MAGIC, OPERATIONS.add, 4097, 0],
  '2^32 - 1 bytes': [MAGIC, OPERATIONS.add, 0xffffffff, 0],
  'credit of 8 bits a byte and one more': [MAGIC, OPERATIONS.add, 64, 513],
  'credit of 2^32 - 1': [MAGIC, OPERATIONS.add, 4096, 0xffffffff],
  'bytes with a reseed': [MAGIC, OPERATIONS.reseed, 1, 0],
  'credit with a query': [MAGIC, OPERATIONS.query, 0, 1],
};

for (const [what, header] of Object.entries(refused)) {
  built(`refuses and ends: ${what}`, async () => {
    const writer = new Writer();
    writer.send(...header);
    assert.equal(await writer.reply(), [MAGIC, header[1], EINVAL, -1, -1]);
    assert.equal(await writer.exit, { code: 65, signal: null });
  });
}

privileged('takes exactly the bounds: 1 byte, 4,096 bytes, 8 bits a byte', async () => {
  const writer = new Writer();
  for (const bytes of [1, 4096]) {
    writer.socket.write(encodeRequest(OPERATIONS.add, new Uint8Array(bytes), 8 * bytes));
    assert.is((await writer.reply())[2], 0);
  }
  assert.is((await writer.end()).code, 0);
});

built('end of file between requests is the orderly end; within one it is not', async () => {
  assert.equal(await new Writer().end(), { code: 0, signal: null });
  const request = encodeRequest(OPERATIONS.add, new Uint8Array(64), 0);
  for (const bytes of [1, 15, 16, 17, 79]) {
    const writer = new Writer();
    writer.socket.write(request.subarray(0, bytes));
    assert.equal(await writer.end(), { code: 65, signal: null }, `${bytes} of 80 bytes`);
  }
});

built('random bytes never do more than end it with the protocol code', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 16, maxLength: 5000 }), async (bytes) => {
      // A valid request by chance: 2^-64 and less.
      const writer = new Writer();
      writer.socket.write(bytes);
      assert.equal(await writer.exit, { code: 65, signal: null });
    }),
    { numRuns: count(25, 2_000) },
  );
});

/** Starts it with more than it should keep. */
const WITH_CAPABILITIES = [
  'setpriv',
  '--inh-caps',
  '+chown,+kill',
  '--ambient-caps',
  '+chown,+kill',
  KERNEL_WRITER_PATH,
];
const CONFINED =
  'holds CAP_SYS_ADMIN at most, no new privileges, a system call filter, and three descriptors';

testWhen(hasKernelWriter && (!isRoot || hasProgram('setpriv')))(CONFINED, async () => {
  const writer = new Writer(...(isRoot ? WITH_CAPABILITIES : []));
  writer.send(MAGIC, OPERATIONS.query, 0, 0);
  await writer.reply();
  const status = readFileSync(`/proc/${writer.child.pid ?? 0}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(status)?.[1];
  const SYS_ADMIN = '0000000000200000';
  const NONE = '0000000000000000';
  assert.is(field('CapEff'), holdsSysAdmin ? SYS_ADMIN : NONE);
  assert.is(field('CapPrm'), holdsSysAdmin ? SYS_ADMIN : NONE);
  assert.is(field('CapInh'), NONE);
  assert.is(field('CapAmb'), NONE);
  if (holdsSysAdmin) assert.is(field('CapBnd'), SYS_ADMIN);
  assert.is(field('NoNewPrivs'), '1');
  assert.is(field('Seccomp'), '2');
  assert.is(field('Threads'), '1');
  assert.match(readFileSync(`/proc/${writer.child.pid ?? 0}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
  if (isRoot) {
    const descriptors = readdirSync(`/proc/${writer.child.pid ?? 0}/fd`).sort();
    assert.equal(descriptors, ['2', '3', '4']);
    assert.is(readlinkSync(`/proc/${writer.child.pid ?? 0}/fd/4`), '/dev/random');
  }
  await writer.end();
});

unprivileged('its memory is closed to its own user', async () => {
  const writer = unprivilegedWriter();
  writer.send(MAGIC, OPERATIONS.query, 0, 0);
  await writer.reply();
  assert.is(
    statSync(`/proc/${writer.child.pid ?? 0}/mem`).uid,
    0,
    "not dumpable: the files in /proc are root's",
  );
  await writer.end();
});

built('signals of a terminal or supervisor do not end it before its last request', async () => {
  const writer = new Writer();
  writer.send(MAGIC, OPERATIONS.query, 0, 0);
  await writer.reply();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) writer.child.kill(signal);
  writer.send(MAGIC, OPERATIONS.query, 0, 0);
  assert.is((await writer.reply())[2], 0);
  assert.equal(await writer.end(), { code: 0, signal: null });
});

built('dies with the process that started it, even while another holds the socket open', async () => {
  const source = `
    const { spawn } = require('node:child_process');
    const child = spawn(process.argv[1], { env: {}, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    const socket = child.stdio[3];
    socket.once('data', () => {
      const holder = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', socket] });
      console.log(child.pid + ' ' + holder.pid);
      process.kill(process.pid, 'SIGKILL');
    });
    socket.write(Buffer.from(new Uint32Array([${MAGIC}, ${OPERATIONS.query}, 0, 0]).buffer));`;
  const answer = spawnSync(process.execPath, ['-e', source, KERNEL_WRITER_PATH], { encoding: 'utf8' });
  const [writer = 0, holder = 0] = answer.stdout.trim().split(' ').map(Number);
  assert.ok(writer > 1 && holder > 1);
  try {
    await until(() => !isAlive(writer), 'the end of the writer', 5_000);
    assert.is(isAlive(holder), true, 'so it was not the end of file');
  } finally {
    process.kill(holder);
  }
});

/** A zombie that waits for init is dead too. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

built('started by hand, without the socket, it refuses', () => {
  const answer = spawnSync(KERNEL_WRITER_PATH, { encoding: 'utf8' });
  assert.is(answer.status, 71);
  assert.match(answer.stderr, /descriptor 3/);
});

test.run();
