import type { Clock, Timer } from '../base/clock.ts';
import { PAYLOAD_MAXIMUM_BYTES, PAYLOAD_MINIMUM_BYTES } from '../protocol/limits.ts';

export interface GrantQueueDependencies {
  readonly clock: Clock;
  /** Payload bytes that a frame may have now; 0 when none may be sent. */
  readonly available: () => number;
}

interface Waiting {
  readonly wantedBytes: number;
  readonly resolve: (bytes: number) => void;
  readonly reject: (error: Error) => void;
}

/** How long a grant for less than was wanted is left to grow: small frames cost the host as much as large ones. */
const PATIENCE_MS = 1_000;

/** Those who wait for room at the host, first come first served. */
export class GrantQueue {
  readonly #clock: Clock;
  readonly #available: () => number;
  readonly #waiting: Waiting[] = [];
  #patience: Timer | undefined;

  constructor(dependencies: GrantQueueDependencies) {
    this.#clock = dependencies.clock;
    this.#available = dependencies.available;
  }

  /** True when a frame of so many bytes may go without waiting for anybody. */
  isOpen(bytes: number): boolean {
    return this.#waiting.length === 0 && this.#available() >= bytes;
  }

  /** Resolves with what may be sent: the bytes wanted, or less (32 at least) when the host offers no more for a second. */
  wait(wantedBytes: number): Promise<number> {
    if (this.isOpen(wantedBytes)) return Promise.resolve(wantedBytes);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ wantedBytes, resolve, reject });
      this.look();
    });
  }

  /** To be called whenever there may be more room than before. One is served: what it sends is counted before the next look. */
  look(): void {
    const [first] = this.#waiting;
    const available = this.#available();
    if (first === undefined || available < PAYLOAD_MINIMUM_BYTES) return this.#stopPatience();
    if (available >= first.wantedBytes) return this.#serve(first.wantedBytes);
    this.#patience ??= this.#clock.after(PATIENCE_MS, () => {
      this.#patience = undefined;
      const offered = this.#available();
      if (offered >= PAYLOAD_MINIMUM_BYTES) this.#serve(Math.min(offered, first.wantedBytes));
    });
  }

  rejectAll(error: Error): void {
    this.#stopPatience();
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  #serve(bytes: number): void {
    this.#stopPatience();
    this.#waiting.shift()?.resolve(bytes);
  }

  #stopPatience(): void {
    this.#patience?.cancel();
    this.#patience = undefined;
  }
}

export function assertPayloadLength(bytes: number): void {
  if (!Number.isInteger(bytes) || bytes < PAYLOAD_MINIMUM_BYTES || bytes > PAYLOAD_MAXIMUM_BYTES)
    throw new RangeError(`a frame carries ${PAYLOAD_MINIMUM_BYTES} to ${PAYLOAD_MAXIMUM_BYTES} bytes`);
}
