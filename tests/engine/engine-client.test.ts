import { EventEmitter } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { isEntropyError } from '../../src/base/errors.ts';
import { EventBus } from '../../src/base/events.ts';
import type { Log } from '../../src/base/log.ts';
import { type EngineChannel, EngineClient } from '../../src/engine/engine-client.ts';
import type { EngineMessage, EngineRequest } from '../../src/engine/engine-messages.ts';
import { type EnginePort, serveEngine } from '../../src/engine/engine-port.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';
import { rejectsWith } from '../rejects.ts';
import { engineFixture } from './engine-fixture.ts';

/** A message channel in one thread: what is posted arrives at the other end, copied, a turn later. */
function channel() {
  const client = new EventEmitter();
  const engine = new EventEmitter();
  const post = (to: EventEmitter, messages: readonly (EngineMessage | EngineRequest)[]) => {
    const copy: unknown = structuredClone(messages);
    setImmediate(() => to.emit('message', copy));
  };
  const clientEnd = Object.assign(client, {
    postMessage: (requests: readonly EngineRequest[]) => post(engine, requests),
  });
  const engineEnd: EnginePort = {
    post: (message) => post(client, [message]),
    onRequests: (listener) => void engine.on('message', listener),
    close: () => setImmediate(() => client.emit('close', 0)),
  };
  return { clientEnd, engineEnd };
}

function clientOver(clientEnd: EngineChannel) {
  const clock = new FakeClock();
  const counters = new Counters();
  const bus = new EventBus({ capacity: 10 }, { clock, counters });
  const lost: string[] = [];
  const lines: string[] = [];
  const rooms: number[] = [];
  const line = (message: string) => void lines.push(message);
  const log: Log = { debug: line, info: line, warn: line, error: line };
  const client = new EngineClient({
    channel: clientEnd,
    clock,
    counters,
    events: bus,
    log,
    onFed: () => undefined,
    onRoom: (roomBytes) => rooms.push(roomBytes),
    onLost: (because) => lost.push(because),
  });
  return { client, clock, counters, bus, lost, lines, rooms };
}

async function running() {
  const { clientEnd, engineEnd } = channel();
  const fixture = engineFixture({ mask: 4 });
  const parts = clientOver(clientEnd);
  serveEngine(fixture.engine, engineEnd);
  fixture.engine.start();
  engineEnd.post({ kind: 'started', runningMask: 4 });
  await parts.client.started();
  await fixture.clock.advance(0);
  return { ...parts, fixture, clientEnd };
}

test('each call reaches the engine and its answer comes back', async () => {
  const { client } = await running();
  assert.is((await client.call('report')).gate.state, 'open');
  assert.ok((await client.call('selfTest')).passed);
  assert.is((await client.call('testSource', 'rdseed')).state, 'healthy');
  await client.call('configureFeed', { intervalSeconds: 5, bytesPerFeed: 32, creditCpu: false });
  assert.is((await client.call('report')).kernel.intervalSeconds, 5);
  assert.is((await client.call('generate', 32)).length, 32);
});

test('a refusal keeps its code across the threads', async () => {
  const { client } = await running();
  await rejectsWith(client.call('restoreSource', 'rdseed', 'for fun'), 'source-not-failed');
  await rejectsWith(client.call('testSource', 'interrupts'), 'source-masked-out');
  await rejectsWith(client.call('generate', 65_537), 'internal');
});

test('events arrive on the bus, and lines in the log', async () => {
  const { clientEnd, engineEnd } = channel();
  const { bus, lines } = clientOver(clientEnd);
  engineEnd.post({ kind: 'event', event: 'gate.open', detail: {} });
  engineEnd.post({ kind: 'log', level: 'warn', message: 'kernel-writer says no', fields: {} });
  await settle();
  assert.is(bus.since(0).records[0]?.id, 'gate.open');
  assert.equal(lines, ['kernel-writer says no']);
});

test('at most 64 requests wait; the next is refused at once and counted', async () => {
  const { client, counters, clock } = await running();
  const waiting = Array.from({ length: 64 }, () => client.call('report'));
  await rejectsWith(client.call('report'), 'engine-busy');
  assert.is(counters.value('engine.requests.refused'), 1);
  // What is durable already must reach the engine, however long the queue.
  await client.call('configureFeed', { intervalSeconds: 7, bytesPerFeed: 32, creditCpu: false });
  await Promise.all(waiting);
  assert.is(clock.pendingTimers, 0);
});

test('what a program reads of an error crosses the threads with it', async () => {
  const { clientEnd, engineEnd } = channel();
  const { client } = clientOver(clientEnd);
  engineEnd.onRequests((requests) => {
    for (const { id } of requests) {
      const members = { retryAfterSeconds: 5 };
      engineEnd.post({ kind: 'refused', id, code: 'served-budget-spent', detail: 'for now', members });
    }
  });
  engineEnd.post({ kind: 'started', runningMask: 8 });
  await client.started();
  const refused = await rejectsWith(client.call('report'), 'served-budget-spent');
  assert.equal(refused.members, { retryAfterSeconds: 5 });
});

test('an engine that does not answer is given up after ten seconds', async () => {
  const { clientEnd, engineEnd } = channel();
  const { client, clock } = clientOver(clientEnd);
  engineEnd.post({ kind: 'started', runningMask: 4 });
  await client.started();
  let refused: unknown;
  client.call('report').catch((error: unknown) => (refused = error));
  await clock.advance(9_999);
  assert.is(refused, undefined);
  await clock.advance(1);
  assert.ok(isEntropyError(refused, 'engine-stopped'));
});

test('an engine that ends by itself: waiting calls are refused, later ones too, and its loss is told once', async () => {
  const { client, clientEnd, lost } = await running();
  const call = client.call('report');
  clientEnd.emit('error', new Error('out of memory'));
  clientEnd.emit('exit', 1);
  await rejectsWith(call, 'engine-stopped');
  await rejectsWith(client.call('report'), 'engine-stopped');
  assert.equal(lost, ['out of memory']);
});

test('a stop is asked for once, wipes the mixer, and is no loss', async () => {
  const { client, fixture, lost } = await running();
  await Promise.all([client.stop(), client.stop()]);
  await settle();
  assert.ok(fixture.mixer.secretSegmentsAreZero());
  assert.equal(lost, []);
  await rejectsWith(client.call('report'), 'engine-stopped');
});

test('what kept the engine from starting reaches who waits for it', async () => {
  const { clientEnd, engineEnd } = channel();
  const { client, lost } = clientOver(clientEnd);
  engineEnd.post({
    kind: 'start-failed',
    code: 'module-digest-mismatch',
    detail: 'mixer.simd.wasm',
    members: {},
  });
  engineEnd.close();
  await rejectsWith(client.started(), 'module-digest-mismatch');
  await settle();
  assert.equal(lost, []);
});

test.run();
