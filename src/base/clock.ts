import os from 'node:os';

/** A timer that was started; cancelling it twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * The only door to time. Everything that waits or stamps takes a Clock by constructor, so that tests run on a fake
 * one without sleeping; the linter bans Date.now, setTimeout and their kin everywhere else.
 */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back, and stands still while the host is suspended. */
  monotonicMs(): number;
  /** Milliseconds since boot, suspended time included: it outgrows monotonicMs by exactly the time slept. */
  bootMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump. For people and records, never for intervals. */
  wallMs(): number;
  /** Calls back once, not before delayMs (0 to 2^31-1) have passed. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls back once the present turn of the event loop has dealt with all that came in. */
  afterTurn(callback: () => void): void;
}

const NANOSECONDS_PER_MS = 1e6;

export class SystemClock implements Clock {
  monotonicMs(): number {
    return Number(process.hrtime.bigint()) / NANOSECONDS_PER_MS;
  }

  bootMs(): number {
    return os.uptime() * 1000;
  }

  wallMs(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void): Timer {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  }

  afterTurn(callback: () => void): void {
    setImmediate(callback);
  }
}

/** Resolves after delayMs. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/**
 * Settles as the promise does, or rejects with what onTimeout makes once timeoutMs have passed.
 * The work itself is not stopped: whoever owns it must bound it.
 */
export async function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  work: Promise<T>,
  onTimeout: () => Error,
): Promise<T> {
  let timer: Timer | undefined;
  const expiry = new Promise<never>((_, reject) => {
    timer = clock.after(timeoutMs, () => reject(onTimeout()));
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    timer?.cancel();
  }
}
