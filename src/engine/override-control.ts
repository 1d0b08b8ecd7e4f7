import type { Clock, Timer } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Gate } from '../policy/gate.ts';
import { GateOverride, type Moment, type OverrideOrder, permittedMask } from '../policy/override.ts';
import { isInMask, sourcesIn } from '../policy/source-mask.ts';
import type { Collector } from './collector.ts';

export interface OverrideControlOptions {
  readonly runningMask: number;
  readonly disableHwrng: boolean;
  /** Whether caches of external entropy are open: they are opened at start, or not at all. */
  readonly hasCaches: boolean;
}

export interface OverrideControlDependencies {
  readonly collector: Collector;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly events: EventSink;
  /** Another mask is in force. */
  readonly onChanged: () => void;
}

/** Timers stand still while the host sleeps: whether the time is up is looked at this often. */
const LOOK_MS = 1000;

/** Break-glass: for a time the sources of another mask are used. It is loud, and it ends by itself. */
export class OverrideControl {
  readonly #options: OverrideControlOptions;
  readonly #collector: Collector;
  readonly #gate: Gate;
  readonly #clock: Clock;
  readonly #events: EventSink;
  readonly #onChanged: () => void;
  #inForce: GateOverride | undefined;
  #timer: Timer | undefined;

  constructor(options: OverrideControlOptions, dependencies: OverrideControlDependencies) {
    this.#options = options;
    this.#collector = dependencies.collector;
    this.#gate = dependencies.gate;
    this.#clock = dependencies.clock;
    this.#events = dependencies.events;
    this.#onChanged = dependencies.onChanged;
  }

  /** The mask whose sources are in use. */
  get mask(): number {
    return this.#inForce?.report.mask ?? this.#options.runningMask;
  }

  /** Puts an override in force, in place of one that is. @throws EntropyError override-refused, source-unavailable */
  begin(order: OverrideOrder): void {
    const mask = this.#usableMask(order.mask);
    const override = new GateOverride(mask, order, this.#now());
    if (this.#inForce !== undefined) this.#tellEnd('replaced', order.by);
    this.#inForce = override;
    const { seconds, reason, by } = order;
    this.#events.emit('gate.overridden', { mask, seconds, reason, by });
    this.#change();
    this.#look();
  }

  /** An operator ends it; without one nothing happens. */
  end(by: string): void {
    if (this.#inForce !== undefined) this.#restore('operator', by);
  }

  /** Asked before each draw, so that not one block is made under an override whose time is up. */
  endIfOver(): void {
    if (this.#inForce?.leftMs(this.#now()) === 0) this.#restore('time');
  }

  /** The mixer is wiped: no source is touched any more. */
  abandon(): void {
    this.#timer?.cancel();
    if (this.#inForce !== undefined) this.#tellEnd('self-test');
    this.#inForce = undefined;
    this.#gate.override(null);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #usableMask(asked: number): number {
    if (!this.#gate.mayExtract())
      throw new EntropyError(
        'override-refused',
        'the gate is held closed: the self-test failed, or the state was refused',
      );
    const { disableHwrng, hasCaches } = this.#options;
    const mask = permittedMask(asked, disableHwrng);
    if (mask === 0)
      throw new EntropyError('override-refused', `disableHwrng forbids every source of mask ${asked}`);
    if (isInMask(mask, 'external') && !hasCaches)
      throw new EntropyError(
        'source-unavailable',
        'external: its caches are opened at start, with bit 8 in the mask',
      );
    const whyNot = sourcesIn(mask).map((name) => ({ name, because: this.#collector.whyUseless(name, mask) }));
    if (whyNot.every(({ because }) => because !== '')) {
      const told = whyNot.map(({ name, because }) => `${name}: ${because}`);
      throw new EntropyError('source-unavailable', told.join('; '));
    }
    return mask;
  }

  #restore(why: 'time' | 'operator', by = ''): void {
    this.#timer?.cancel();
    this.#tellEnd(why, by);
    this.#inForce = undefined;
    this.#change();
  }

  #change(): void {
    this.#collector.useMask(this.mask);
    this.#gate.override(this.#inForce?.report ?? null);
    this.#onChanged();
  }

  #tellEnd(why: 'time' | 'operator' | 'replaced' | 'self-test', by = ''): void {
    this.#events.emit('gate.override.ended', { mask: this.mask, why, ...(by === '' ? {} : { by }) });
  }

  #look(): void {
    this.#timer?.cancel();
    this.endIfOver();
    if (this.#inForce === undefined) return;
    const waitMs = Math.min(LOOK_MS, this.#inForce.leftMs(this.#now()));
    this.#timer = this.#clock.after(waitMs, () => this.#look());
  }

  #now(): Moment {
    const clock = this.#clock;
    return { monotonicMs: clock.monotonicMs(), bootMs: clock.bootMs(), wallMs: clock.wallMs() };
  }
}
