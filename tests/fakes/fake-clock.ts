import type { Clock, Timer } from '../../src/base/clock.ts';

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that moves only when told to, firing timers in order of their due time. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #sleptMs = 0;
  #order = 0;
  readonly #wallOriginMs: number;
  readonly #pending = new Set<Pending>();

  constructor(wallOriginMs = Date.UTC(2026, 0, 1)) {
    this.#wallOriginMs = wallOriginMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  bootMs(): number {
    return this.#nowMs + this.#sleptMs;
  }

  wallMs(): number {
    return this.#wallOriginMs + this.#nowMs + this.#sleptMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending = { dueMs: this.#nowMs + delayMs, order: this.#order++, callback };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** Turns of the event loop are no time: they are the real ones. */
  afterTurn(callback: () => void): void {
    setImmediate(callback);
  }

  /** Number of timers that wait to fire. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /** The host sleeps: boot time moves on, monotonic time and timers stand still. */
  suspend(sleptMs: number): void {
    this.#sleptMs += sleptMs;
  }

  /** Moves time on; every timer due on the way fires at its own moment, and what it started settles before the next. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.dueMs > untilMs) break;
      this.#pending.delete(next);
      this.#nowMs = next.dueMs;
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #earliest(): Pending | undefined {
    let earliest: Pending | undefined;
    for (const pending of this.#pending) {
      if (
        earliest === undefined ||
        pending.dueMs < earliest.dueMs ||
        (pending.dueMs === earliest.dueMs && pending.order < earliest.order)
      ) {
        earliest = pending;
      }
    }
    return earliest;
  }
}

/** Lets promise chains and already finished I/O callbacks run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
