import { mkdtemp, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EGD_DEFAULTS, EgdServer } from '../../src/api/egd-server.ts';
import { Counters } from '../../src/base/counters.ts';
import { EntropyError, type ErrorCode } from '../../src/base/errors.ts';
import type { ServedOutput } from '../../src/service/served-output.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { silentLog } from './fake-control-service.ts';

class FakeOutput implements ServedOutput {
  refusal: ErrorCode | undefined;
  served: Uint8Array[] = [];
  absorbed: string[] = [];

  serve(lengthBytes: number, options: { readonly fresh: boolean }): Promise<Uint8Array> {
    assert.is(options.fresh, false);
    if (this.refusal !== undefined) return Promise.reject(new EntropyError(this.refusal, 'told to'));
    const bytes = new Uint8Array(lengthBytes).fill(7);
    this.served.push(bytes);
    return Promise.resolve(bytes);
  }

  absorb(bytes: Uint8Array): Promise<void> {
    this.absorbed.push(Buffer.from(bytes).toString('hex'));
    return Promise.resolve();
  }

  availableBits(): Promise<number> {
    return Promise.resolve(0x01020304);
  }
}

let directory: string;
let server: EgdServer;
let output: FakeOutput;
let clock: FakeClock;
let counters: Counters;

test.before.each(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'egd-'));
  output = new FakeOutput();
  clock = new FakeClock();
  counters = new Counters();
  server = await EgdServer.open(
    { ...EGD_DEFAULTS, maximumConnections: 2, pid: 4711, runtimeDirectory: directory },
    { output, clock, counters, log: silentLog },
  );
});
test.after.each(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

class Client {
  readonly socket: net.Socket;
  bytes = Buffer.alloc(0);
  isClosed = false;

  constructor() {
    this.socket = net.connect(server.path);
    this.socket.on('data', (part: Buffer) => (this.bytes = Buffer.concat([this.bytes, part])));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => (this.isClosed = true));
  }

  send(...bytes: number[]): void {
    this.socket.write(Buffer.from(bytes));
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await settle();
  }

  async answer(lengthBytes: number): Promise<number[]> {
    await this.until(() => this.bytes.length >= lengthBytes || this.isClosed);
    return [...this.bytes];
  }
}

test('the socket is for owner and group; its path is bounded', async () => {
  assert.is((await stat(server.path)).mode & 0o777, 0o660);
  const options = { ...EGD_DEFAULTS, pid: 1, runtimeDirectory: `/${'x'.repeat(120)}` };
  await rejectsWith(
    EgdServer.open(options, { output, clock, counters, log: silentLog }),
    'socket-path-too-long',
  );
  const twice = { ...EGD_DEFAULTS, pid: 1, runtimeDirectory: directory };
  await rejectsWith(EgdServer.open(twice, { output, clock, counters, log: silentLog }), 'state-in-use');
});

test('the five commands, sent in one piece, are answered in order', async () => {
  const client = new Client();
  client.send(0, 4, 1, 3, 2, 2, 3, 0, 16, 2, 0xaa, 0xbb);
  const answer = await client.answer(4 + 5 + 4 + 2);
  assert.equal(answer, [1, 2, 3, 4, 4, ...Buffer.from('4711'), 3, 7, 7, 7, 7, 7]);
  await client.until(() => counters.value('egd.requests') === 5);
  assert.equal(output.absorbed, ['aabb']);
  client.socket.destroy();
});

test('what was served is wiped', async () => {
  const client = new Client();
  client.send(1, 255, 2, 255);
  await client.answer(1 + 255 + 255);
  await client.until(() => counters.value('egd.requests') === 2);
  assert.ok(output.served.every((bytes) => bytes.every((byte) => byte === 0)));
  client.socket.destroy();
});

test('refused output: a read that does not block gets none, one that blocks waits for it', async () => {
  output.refusal = 'served-budget-spent';
  const client = new Client();
  client.send(1, 16, 2, 2);
  assert.equal(await client.answer(1), [0]);
  await settle();
  await clock.advance(10_000);
  assert.is(client.bytes.length, 1);
  output.refusal = undefined;
  await clock.advance(250);
  assert.equal(await client.answer(3), [0, 7, 7]);
  client.socket.destroy();
});

test('a blocking read waits for a minute, then the connection ends', async () => {
  output.refusal = 'gate-closed';
  const client = new Client();
  client.send(2, 1);
  await client.until(() => clock.pendingTimers === 1);
  await settle();
  await clock.advance(59_999);
  assert.not(client.isClosed);
  await clock.advance(1);
  await client.until(() => client.isClosed);
});

test('a connection that says nothing for a minute ends, and so does one with an unknown command', async () => {
  const silent = new Client();
  await silent.until(() => clock.pendingTimers === 1);
  await clock.advance(59_999);
  await settle();
  assert.not(silent.isClosed);
  await clock.advance(1);
  await silent.until(() => silent.isClosed);
  const wrong = new Client();
  wrong.send(5);
  await wrong.until(() => wrong.isClosed);
  assert.is(wrong.bytes.length, 0);
});

test('connections are bounded', async () => {
  const clients = [new Client(), new Client()];
  for (const client of clients) {
    client.send(4);
    await client.answer(5);
  }
  const third = new Client();
  third.send(4);
  await third.until(() => third.isClosed);
  assert.is(third.bytes.length, 0);
  for (const client of clients) client.socket.destroy();
});

test.run();
