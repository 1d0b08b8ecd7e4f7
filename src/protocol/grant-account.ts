import type { Grant } from './frame-payloads.ts';

export interface GrantAccountOptions {
  /** How long a lapsed grant is still honoured: 0 for the feeder; for the host the time that frames may be on their way. */
  readonly graceMs: number;
}

/**
 * What was granted in a session and what of it was used, kept alike at both ends. Grants are totals from the welcome on, so frames that
 * cross a new grant on the wire are counted once. Times are of one steady clock.
 */
export class GrantAccount {
  readonly #graceMs: number;
  #grantedBytes = 0;
  #grantedFrames = 0;
  #usedBytes = 0;
  #usedFrames = 0;
  #lapsesAtMs = -Infinity;

  constructor(options: GrantAccountOptions) {
    this.#graceMs = options.graceMs;
  }

  /** Totals of what was used; a grant for so much more adds to these. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get usedFrames(): number {
    return this.#usedFrames;
  }

  /** The grant replaces the one before it. */
  replace(grant: Grant, nowMs: number): void {
    this.#grantedBytes = grant.totalBytes;
    this.#grantedFrames = grant.totalFrames;
    this.#lapsesAtMs = nowMs + grant.lapseMs;
  }

  /** Payload bytes that a next frame may have; 0 when no frame is left or the grant has lapsed. */
  availableBytes(nowMs: number): number {
    if (nowMs >= this.#lapsesAtMs + this.#graceMs || this.#usedFrames >= this.#grantedFrames) return 0;
    return Math.max(0, this.#grantedBytes - this.#usedBytes);
  }

  availableFrames(nowMs: number): number {
    if (nowMs >= this.#lapsesAtMs + this.#graceMs) return 0;
    return Math.max(0, this.#grantedFrames - this.#usedFrames);
  }

  /** Counts a frame that is sent, or has come. False, and nothing counted, when it was not granted. */
  use(payloadBytes: number, nowMs: number): boolean {
    if (payloadBytes > this.availableBytes(nowMs)) return false;
    this.#usedBytes += payloadBytes;
    this.#usedFrames++;
    return true;
  }
}
