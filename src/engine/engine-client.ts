import type { Clock, Timer } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { Feed } from '../kernel/pool-feeder.ts';
import type {
  EngineCallName,
  EngineCalls,
  EngineMessage,
  EngineRequest,
  Refusal,
} from './engine-messages.ts';
import { TurnBatch } from './turn-batch.ts';

/** A worker thread, or one end of a message channel in a test. What is sent in one turn of the loop goes together, both ways. */
export interface EngineChannel {
  postMessage(requests: readonly EngineRequest[], transfer: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (messages: readonly EngineMessage[]) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit' | 'close', listener: (code: number) => void): unknown;
}

export interface EngineClientDependencies {
  readonly channel: EngineChannel;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly log: Log;
  readonly counters: Counters;
  readonly onFed: (feed: Feed) => void;
  /** Bytes were drawn from the caches of external entropy: there is room for more. */
  readonly onRoom: (roomBytes: number) => void;
  /** The thread ended without being asked to. */
  readonly onLost: (because: string) => void;
}

interface Pending {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

/** Requests that may wait at once. */
const QUEUE_LIMIT = 64;

/**
 * Calls that are never refused for want of a place: settings that are durable already must reach the engine, and the buffers of
 * frames are counted elsewhere.
 */
const UNBOUNDED: ReadonlySet<EngineCallName> = new Set([
  'configureFeed',
  'configureServed',
  'settleCaches',
  'voidFeeder',
  'receive',
]);

/** The longest honest work in the thread is some ten milliseconds; stopping waits for a kernel feed besides. */
const ANSWER_LIMIT_MS = 10_000;

/** A disk may take its time: a frame waits for its fsync, and a cache of 1 GiB is written with zeros once. */
const DISK_LIMIT_MS: Partial<Record<EngineCallName, number>> = {
  receive: 60_000,
  rekeyCaches: 60_000,
  prepareCaches: 300_000,
  stop: 60_000,
};

/** The engine as the rest of the daemon sees it: asynchronous, bounded, and unable to bring the caller down. */
export class EngineClient {
  readonly #requests: TurnBatch<EngineRequest>;
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #onFed: (feed: Feed) => void;
  readonly #onRoom: (roomBytes: number) => void;
  readonly #onLost: (because: string) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #started: PromiseWithResolversLike;
  #nextId = 1;
  #state: 'starting' | 'running' | 'stopping' | 'ended' = 'starting';

  constructor(dependencies: EngineClientDependencies) {
    const { channel } = dependencies;
    this.#requests = new TurnBatch({
      ...dependencies,
      post: (requests, transfer) => channel.postMessage(requests, transfer),
    });
    this.#clock = dependencies.clock;
    this.#events = dependencies.events;
    this.#log = dependencies.log;
    this.#counters = dependencies.counters;
    this.#onFed = dependencies.onFed;
    this.#onRoom = dependencies.onRoom;
    this.#onLost = dependencies.onLost;
    this.#started = promiseWithResolvers();
    channel.on('message', (messages) => messages.forEach((message) => this.#receive(message)));
    channel.on('error', (error) => this.#end(error.message));
    channel.on('exit', (code) => this.#end(`exit code ${code}`));
    channel.on('close', () => this.#end('its channel closed'));
  }

  /** Resolves with the mask in force when the engine runs. @throws EntropyError with the code that kept it from starting */
  started(): Promise<number> {
    return this.#started.promise;
  }

  /** @throws EntropyError engine-busy, engine-stopped, and what the call itself refuses with */
  call<Name extends EngineCallName>(
    call: Name,
    ...parameters: EngineCalls[Name]['parameters']
  ): Promise<EngineCalls[Name]['answer']> {
    if (this.#state !== 'running')
      return Promise.reject(new EntropyError('engine-stopped', 'the engine has stopped'));
    if (this.#pending.size >= QUEUE_LIMIT && !UNBOUNDED.has(call)) {
      this.#counters.add('engine.requests.refused');
      return Promise.reject(new EntropyError('engine-busy', `${QUEUE_LIMIT} requests wait already`));
    }
    return this.#send(call, parameters);
  }

  /** Stops feeding, ends the sources and wipes the mixer. */
  async stop(): Promise<void> {
    if (this.#state !== 'running') return;
    this.#state = 'stopping';
    await this.#send('stop', []);
  }

  #send<Name extends EngineCallName>(
    call: Name,
    parameters: EngineCalls[Name]['parameters'],
  ): Promise<EngineCalls[Name]['answer']> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const limitMs = DISK_LIMIT_MS[call] ?? ANSWER_LIMIT_MS;
      const timer = this.#clock.after(limitMs, () => {
        this.#pending.delete(id);
        reject(new EntropyError('engine-stopped', `the engine did not answer ${call} in ${limitMs} ms`));
      });
      this.#pending.set(id, { resolve, reject, timer });
      const request = { id, call, parameters } as EngineRequest;
      this.#requests.add({ message: request, transfer: movedWith(request), workBytes: workOf(request) });
    });
  }

  #receive(message: EngineMessage): void {
    switch (message.kind) {
      case 'started':
        this.#state = 'running';
        return this.#started.resolve(message.runningMask);
      case 'start-failed':
        return this.#started.reject(errorOf(message));
      case 'answer':
        return this.#take(message.id)?.resolve(message.answer as never);
      case 'refused':
        return this.#take(message.id)?.reject(errorOf(message));
      case 'event':
        return this.#events.emit(message.event, message.detail);
      case 'fed':
        return this.#onFed(message.feed);
      case 'room':
        return this.#onRoom(message.roomBytes);
      case 'log':
        return this.#log[message.level](message.message, message.fields);
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.timer.cancel();
    return pending;
  }

  #end(because: string): void {
    if (this.#state === 'ended') return;
    const lost = this.#state === 'running';
    this.#state = 'ended';
    const error = new EntropyError('engine-stopped', `the engine ended: ${because}`);
    this.#started.reject(error);
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(error);
    if (lost) this.#onLost(because);
  }
}

function errorOf({ code, detail, members }: Refusal): EntropyError {
  return new EntropyError(code, detail, { members });
}

/** Buffers that go with a request are moved, not copied. */
function movedWith(request: EngineRequest): ArrayBuffer[] {
  if (request.call === 'receive') return [request.parameters[0].payload.buffer];
  const moved = request.call === 'absorb' || request.call === 'rekeyCaches';
  return moved ? [request.parameters[0].buffer] : [];
}

function workOf(request: EngineRequest): number {
  return request.call === 'receive' ? request.parameters[0].payload.length : 0;
}

interface PromiseWithResolversLike {
  readonly promise: Promise<number>;
  readonly resolve: (runningMask: number) => void;
  readonly reject: (error: Error) => void;
}

function promiseWithResolvers(): PromiseWithResolversLike {
  let resolve!: (runningMask: number) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<number>((onDone, onFailed) => {
    resolve = onDone;
    reject = onFailed;
  });
  // Whoever awaits it later still sees the rejection; nobody awaiting it yet is no crash.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
