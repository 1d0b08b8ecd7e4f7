import { SOURCE_BITS } from '../base/names.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import { MASK_MAXIMUM } from './source-mask.ts';

/** What an operator orders: for so long the sources of this mask are used instead of the running one's. */
export interface OverrideOrder {
  /** 1 to 15. */
  readonly mask: number;
  /** 10 to 86,400. */
  readonly seconds: number;
  readonly reason: string;
  /** Who ordered it, for the audit trail. */
  readonly by: string;
}

/** What is told of an override in force. */
export interface OverrideReport {
  readonly mask: number;
  /** Wall-clock milliseconds, by the clock of its beginning. */
  readonly untilMs: number;
  readonly reason: string;
  readonly by: string;
}

/** Bounds of an order's seconds, as the interfaces state them. */
export const OVERRIDE_SECONDS = { minimum: 10, maximum: 86_400 } as const;

/** The three clocks at one moment, in milliseconds. */
export interface Moment {
  readonly monotonicMs: number;
  readonly bootMs: number;
  readonly wallMs: number;
}

/** The boot clock may step in whole seconds: by it an override ends this much later, so that it never ends early. */
const BOOT_CLOCK_STEP_MS = 1000;

/** An override in force. It is never stored: a restart ends it. */
export class GateOverride {
  readonly report: OverrideReport;
  readonly #begun: Moment;
  readonly #lengthMs: number;

  /** @param mask what is left of the order's, see permittedMask */
  constructor(mask: number, order: OverrideOrder, now: Moment) {
    expectWithin('mask', mask, 1, MASK_MAXIMUM);
    expectWithin('seconds', order.seconds, OVERRIDE_SECONDS.minimum, OVERRIDE_SECONDS.maximum);
    this.#begun = now;
    this.#lengthMs = order.seconds * MS_PER_SECOND;
    this.report = { mask, untilMs: now.wallMs + this.#lengthMs, reason: order.reason, by: order.by };
  }

  /** Milliseconds it still has, 0 when it is over. Time the host slept counts; a wall clock that is set changes nothing. */
  leftMs(now: Omit<Moment, 'wallMs'>): number {
    const left = this.#begun.monotonicMs + this.#lengthMs - now.monotonicMs;
    const leftByBoot = this.#begun.bootMs + this.#lengthMs + BOOT_CLOCK_STEP_MS - now.bootMs;
    return Math.max(0, Math.min(left, leftByBoot));
  }
}

/** What is left of the mask an operator asks for: an override does not use what `disableHwrng` forbids. */
export function permittedMask(asked: number, disableHwrng: boolean): number {
  return disableHwrng ? asked & ~(SOURCE_BITS.rdrand | SOURCE_BITS.rdseed) : asked;
}

function expectWithin(name: string, value: number, minimum: number, maximum: number): void {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  throw new RangeError(
    `${name} of an override is ${value}, not a whole number from ${minimum} to ${maximum}`,
  );
}
