import { fileURLToPath } from 'node:url';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { SOURCE_NAMES, type SourceName } from '../../src/base/names.ts';
import { Engine, type EngineOptions } from '../../src/engine/engine.ts';
import type { Feed } from '../../src/kernel/pool-feeder.ts';
import { Mixer } from '../../src/mixer/mixer.ts';
import type { Reservoir } from '../../src/cache/reservoir.ts';
import { ExternalSource } from '../../src/sources/external.ts';
import { SampleTap } from '../../src/sources/sample-tap.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { FakeKernelSink } from '../fakes/fake-kernel-sink.ts';
import { FakeSource } from '../fakes/fake-source.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';

export const BUILD_DIRECTORY = fileURLToPath(new URL('../../build', import.meta.url));

export interface FixtureOptions {
  readonly mask: number;
  readonly interruptsReady?: number;
  readonly intervalSeconds?: number;
  readonly bytesPerFeed?: number;
  readonly creditCpu?: boolean;
  readonly heldBecause?: string;
  readonly disableHwrng?: boolean;
  readonly servedLimitBitsPerSecond?: number;
  /** The caches behind the external source; without them it is a fake one. */
  readonly reservoir?: (parts: FixtureParts) => Reservoir;
  /** Called before the engine is made: a host without one of its sources, say. */
  readonly prepare?: (sources: Record<SourceName, FakeSource>) => void;
}

export interface FixtureParts {
  readonly clock: FakeClock;
  readonly counters: Counters;
  readonly events: EventBus;
}

/** An engine with the real mixer module, fake sources, a fake kernel, and time that stands still. */
export function engineFixture(options: FixtureOptions) {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 1000 }, { clock, counters });
  const mixer = Mixer.load({ directory: BUILD_DIRECTORY });
  const tap = new SampleTap();
  const sink = new FakeKernelSink();
  const feeds: Feed[] = [];
  const sources = {
    interrupts: new FakeSource('interrupts', { ready: options.interruptsReady ?? 0 }),
    rdrand: new FakeSource('rdrand'),
    rdseed: new FakeSource('rdseed'),
    external: new FakeSource('external', { ready: 0 }),
  };
  sources.external.unavailable = 'no feed in this test';
  options.prepare?.(sources);
  const random = new SeededStream('getrandom');
  const engineOptions: EngineOptions = {
    configuredMask: options.mask,
    runningMask: options.mask,
    feed: {
      intervalSeconds: options.intervalSeconds ?? 10,
      bytesPerFeed: options.bytesPerFeed ?? 64,
      creditCpu: options.creditCpu ?? false,
    },
    heldBecause: options.heldBecause ?? '',
    disableHwrng: options.disableHwrng ?? false,
    servedLimitBitsPerSecond: options.servedLimitBitsPerSecond ?? 512,
  };
  const reservoir = options.reservoir?.({ clock, counters, events });
  const external = new ExternalSource({ unavailable: '' }, { supply: reservoir, clock });
  const engine = new Engine(engineOptions, {
    mixer,
    tap,
    sink,
    clock,
    events,
    counters,
    reservoir,
    sources: SOURCE_NAMES.map((name) =>
      name === 'external' && reservoir !== undefined ? external : sources[name],
    ),
    random: (target) => random.fill(target),
    onFed: (feed) => feeds.push(feed),
  });
  const told = () => events.since(0).records.map((record) => record.id);
  const stateOf = (name: SourceName) => engine.report().sources.find((source) => source.name === name)?.state;
  return { engine, clock, counters, events, mixer, tap, sink, feeds, sources, told, stateOf };
}
