import { secretBytes, wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { SourceName } from '../base/names.ts';
import type { RandomSource } from '../base/random.ts';
import type { GateReport } from '../contract/gate.ts';
import type { EngineReport, SelfTestReport, SourceReport } from '../contract/outputs.ts';
import type { Reservoir } from '../cache/reservoir.ts';
import type { KernelSink } from '../kernel/kernel-sink.ts';
import { type Feed, PoolFeeder, type PoolFeederSettings } from '../kernel/pool-feeder.ts';
import { type Mixer, START_SEED_BYTES } from '../mixer/mixer.ts';
import { Gate } from '../policy/gate.ts';
import type { OverrideOrder } from '../policy/override.ts';
import { sourcesIn } from '../policy/source-mask.ts';
import type { NoiseSource } from '../sources/noise-source.ts';
import type { SampleTap } from '../sources/sample-tap.ts';
import { BlockDraw } from './block-draw.ts';
import { Collector } from './collector.ts';
import { DrbgOutput } from './drbg-output.ts';
import { ExternalEntropy } from './external-entropy.ts';
import type { MonitoredSource } from './monitored-source.ts';
import { OverrideControl } from './override-control.ts';
import { ResumeWatch } from './resume-watch.ts';
import { ServedDraw } from './served-draw.ts';
import { StartupWatch } from './startup-watch.ts';

export interface EngineOptions {
  readonly configuredMask: number;
  /** What the configured mask resolved to. */
  readonly runningMask: number;
  /** RDRAND and RDSEED are not to be used, not even by an override. */
  readonly disableHwrng: boolean;
  readonly feed: PoolFeederSettings;
  /** Empty, or why the gate is to stay closed: the state was refused. */
  readonly heldBecause: string;
  /** Externally credited bits a second that readers may spend. */
  readonly servedLimitBitsPerSecond: number;
}

export interface EngineDependencies {
  readonly mixer: Mixer;
  readonly sources: readonly NoiseSource[];
  /** The caches of external entropy; undefined where none is received. */
  readonly reservoir: Reservoir | undefined;
  readonly tap: SampleTap;
  readonly sink: KernelSink;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
  readonly onFed: (feed: Feed) => void;
}

/**
 * Sources, mixer, gate and kernel feed under one roof, with nothing of threads or sockets in it.
 *
 *   constructed ─start─► running ─stop─► stopped (sources closed, mixer wiped)
 *                          └─ self-test failed ─► running, gate held closed, mixer wiped
 */
export class Engine {
  readonly external: ExternalEntropy;
  readonly served: ServedDraw;
  readonly #options: EngineOptions;
  readonly #mixer: Mixer;
  readonly #random: RandomSource;
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #counters: Counters;
  readonly #collector: Collector;
  readonly #startups: StartupWatch;
  readonly #gate: Gate;
  readonly #override: OverrideControl;
  readonly #draw: BlockDraw;
  readonly #output: DrbgOutput;
  readonly #feeder: PoolFeeder;
  readonly #resumeWatch: ResumeWatch;
  #selfTest: SelfTestReport;

  constructor(options: EngineOptions, dependencies: EngineDependencies) {
    const { mixer, clock, events, counters, random } = dependencies;
    this.#options = options;
    this.#mixer = mixer;
    this.#random = random;
    this.#clock = clock;
    this.#events = events;
    this.#counters = counters;
    this.#collector = new Collector({ mask: options.runningMask }, dependencies);
    this.#startups = new StartupWatch({
      collector: this.#collector,
      clock,
      probe: () => {
        this.#draw.probe();
        this.#feeder.lookNow();
      },
    });
    this.external = new ExternalEntropy({
      ...dependencies,
      collector: this.#collector,
      onCached: () => this.#feeder.lookNow(),
    });
    this.#gate = new Gate({ clock, events });
    this.#override = new OverrideControl(
      { ...options, hasCaches: dependencies.reservoir !== undefined },
      {
        collector: this.#collector,
        gate: this.#gate,
        clock,
        events,
        onChanged: () => this.#startups.lookUnderNewMask(),
      },
    );
    this.#resumeWatch = new ResumeWatch({ clock });
    const draw = new BlockDraw({ mixer, counters, collector: this.#collector, gate: this.#gate });
    this.#draw = draw;
    this.#output = new DrbgOutput({ mixer, draw, random, clock, counters });
    this.served = new ServedDraw(
      { bitsPerSecond: options.servedLimitBitsPerSecond },
      {
        draw,
        output: this.#output,
        gate: this.#gate,
        cached: this.external,
        hasOtherSource: () => this.#collector.hasLocalSource,
        clock,
        counters,
      },
    );
    const supply = { draw: (target: Uint8Array) => (this.#keepTime(), draw.draw(target)) };
    this.#feeder = new PoolFeeder(options.feed, { ...dependencies, supply });
    // The module does not load unless its self-test passes.
    this.#selfTest = { passed: true, failedTest: '', atMs: clock.wallMs() };
  }

  start(): void {
    const { configuredMask, runningMask, heldBecause } = this.#options;
    const sources = sourcesIn(runningMask).join('|') || 'none';
    this.#events.emit('mask.resolved', { configured: configuredMask, running: runningMask, sources });
    this.#startMixer();
    this.external.open();
    this.external.planDraw(this.#options.feed);
    if (heldBecause !== '') this.#gate.hold(heldBecause);
    this.#collector.open();
    this.#feeder.start();
    this.#startups.look();
  }

  /** Ends feeding and gathering, then overwrites every secret of the mixer. */
  async stop(): Promise<void> {
    this.#startups.stop();
    this.#override.stop();
    const stopped = this.#feeder.stop();
    this.#collector.close();
    // Before the last feed has ended: a kernel that does not answer must not keep the secrets alive.
    this.#mixer.wipe();
    await this.external.stop();
    await stopped;
  }

  /** DRBG output for readers. @throws EntropyError as ServedDraw.serve; the target is untouched then */
  serve(target: Uint8Array, fresh: boolean): void {
    this.#keepTime();
    this.served.serve(target, fresh);
  }

  configureFeed(settings: PoolFeederSettings): void {
    this.#feeder.configure(settings);
    this.external.planDraw(settings);
  }

  /** All known answers, now, on a scratch state. A failure wipes the mixer and closes the gate for good. */
  selfTest(): SelfTestReport {
    const failed = this.#mixer.selfTest();
    this.#counters.add('selftest.runs');
    this.#selfTest = {
      passed: failed === 0,
      failedTest: failed === 0 ? '' : this.#mixer.selfTestName(failed),
      atMs: this.#clock.wallMs(),
    };
    if (failed === 0) {
      this.#events.emit('selftest.passed');
    } else {
      this.#startups.stop();
      this.#override.abandon();
      this.#collector.close();
      this.#gate.hold(`self-test ${this.#selfTest.failedTest} failed`);
      this.#events.emit('selftest.failed', { test: this.#selfTest.failedTest });
    }
    return this.#selfTest;
  }

  /** @throws EntropyError source-unknown, source-masked-out, source-unavailable, source-failed */
  testSource(name: SourceName): SourceReport {
    const source = this.#usable(name);
    if (source.source.testedBefore === true) {
      throw new EntropyError('source-unavailable', `${name} is tested at the door, frame by frame`);
    }
    if (source.state.name === 'failed') {
      throw new EntropyError('source-failed', `${name} failed: ${source.state.reason}`);
    }
    source.retest('on demand');
    this.#startups.look();
    return source.report();
  }

  /** @throws EntropyError source-unknown, source-masked-out, source-unavailable, source-not-failed */
  restoreSource(name: SourceName, reason: string): SourceReport {
    const source = this.#usable(name);
    if (source.state.name !== 'failed') {
      throw new EntropyError('source-not-failed', `${name} is ${source.state.name}`);
    }
    source.restore(reason);
    this.#startups.look();
    return source.report();
  }

  /** For a time other sources than the running mask's. @throws EntropyError override-refused, source-unavailable */
  overrideGate(order: OverrideOrder): GateReport {
    this.#override.begin(order);
    return this.#gateReport();
  }

  /** Ends an override at once; without one the gate stays as it is. */
  restoreGate(by: string): GateReport {
    this.#override.end(by);
    return this.#gateReport();
  }

  /** DRBG output for the daemon's own keys. @throws EntropyError gate-closed; the target is untouched then */
  generate(target: Uint8Array): void {
    this.#keepTime();
    // A closed gate gives nothing out, unless a block can be had now: that opens it.
    const mayGive = this.#gate.mayExtract() && (this.#gate.open || this.#draw.reserveSeed() !== undefined);
    if (!mayGive || !this.#output.generate(target)) {
      throw new EntropyError('gate-closed', this.#gate.state().reason ?? 'no block could be extracted');
    }
  }

  report(): EngineReport {
    const honoured = this.#collector.honoured;
    return {
      gate: this.#gateReport(),
      kernel: this.#feeder.report(),
      mask: { configured: this.#options.configuredMask, running: this.#options.runningMask, honoured },
      sources: this.#collector.sources.map((source) => source.report()),
      external: this.external.report(),
      mixer: { build: this.#mixer.build, sha256: this.#mixer.sha256, selfTest: this.#selfTest },
      counters: { ...this.#counters.snapshot() },
    };
  }

  #gateReport(): GateReport {
    const gate = this.#gate.state();
    const isShort = this.#collector.honoured !== this.#override.mask;
    return { ...gate, degraded: gate.state === 'overridden' || (gate.state === 'open' && isShort) };
  }

  /** The pool's first chain value is a hash of getrandom, worth nothing: a mixer never starts from a known state. */
  #startMixer(): void {
    const seed = secretBytes(START_SEED_BYTES);
    this.#random(seed);
    this.#mixer.start(seed);
    wipe(seed);
  }

  #usable(name: SourceName): MonitoredSource {
    if (!this.#selfTest.passed) throw new EntropyError('self-test-failed', this.#selfTest.failedTest);
    const source = this.#collector.source(name);
    if (source === undefined)
      throw new EntropyError('source-unavailable', `${name} is not built into this engine`);
    if (source.state.name === 'masked-out') throw new EntropyError('source-masked-out', name);
    if (source.state.name === 'unavailable') {
      throw new EntropyError('source-unavailable', `${name}: ${source.state.reason}`);
    }
    return source;
  }

  /** Before anything is drawn: what time did meanwhile to an override, and to a host that slept. */
  #keepTime(): void {
    this.#override.endIfOver();
    this.#noticeResume();
  }

  #noticeResume(): void {
    const sleptMs = this.#resumeWatch.sleptSinceLastCall();
    if (sleptMs === 0 || !this.#selfTest.passed) return;
    this.#events.emit('host.resumed', { sleptMs: Math.round(sleptMs) });
    this.#collector.retestAll('the host was suspended');
    this.#startups.look();
  }
}
