import type { Clock, Timer } from '../base/clock.ts';

/** Room is told no more often than this. */
const INTERVAL_MS = 50;

export type RoomListener = (roomBytes: number) => void;

/** Tells a listener that there is more room: at once when there was none, and never twice within 50 ms. */
export class RoomNotice {
  readonly #clock: Clock;
  #listener: RoomListener | undefined;
  #roomBytes = 0;
  /** The least room since it was told last. */
  #leastBytes = 0;
  #toldAtMs = -Infinity;
  #timer: Timer | undefined;

  constructor(dependencies: { readonly clock: Clock }) {
    this.#clock = dependencies.clock;
  }

  listen(listener: RoomListener): void {
    this.#listener = listener;
  }

  update(roomBytes: number): void {
    this.#roomBytes = roomBytes;
    this.#leastBytes = Math.min(this.#leastBytes, roomBytes);
    if (roomBytes === this.#leastBytes || this.#timer !== undefined) return;
    const sinceToldMs = this.#clock.monotonicMs() - this.#toldAtMs;
    if (this.#leastBytes === 0 && sinceToldMs >= INTERVAL_MS) return this.#tell();
    // What is left of the interval; a whole one when it has passed, to tell many small gains as one.
    const waitMs = sinceToldMs < INTERVAL_MS ? INTERVAL_MS - sinceToldMs : INTERVAL_MS;
    this.#timer = this.#clock.after(waitMs, () => this.#due());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#listener = undefined;
  }

  #due(): void {
    this.#timer = undefined;
    if (this.#roomBytes > this.#leastBytes) this.#tell();
  }

  #tell(): void {
    this.#leastBytes = this.#roomBytes;
    this.#toldAtMs = this.#clock.monotonicMs();
    this.#listener?.(this.#roomBytes);
  }
}
