/** What is asked of a connection that has proven nothing. */
export interface Stranger {
  /** Says that there is no place any more, and drops the connection without waiting for an answer. */
  drop(): void;
  /** Drops a connection that has been told why it ends. */
  terminate(): void;
}

/**
 * Connections that have proven nothing: a bounded number. Whoever comes when all places are taken gets that of the oldest, for a feeder
 * proves its key at once and only silence is old; so nobody locks feeders out by sitting there. Those that are being closed hold no
 * place, and as many of them may take their time.
 */
export class FeedStrangers {
  readonly #maximum: number;
  /** Oldest first. */
  readonly #waiting = new Set<Stranger>();
  readonly #leaving = new Set<Stranger>();

  constructor(options: { readonly maximum: number }) {
    this.#maximum = options.maximum;
  }

  add(stranger: Stranger): void {
    if (this.#waiting.size >= this.#maximum) oldestOf(this.#waiting)?.drop();
    this.#waiting.add(stranger);
  }

  /** It ends; does nothing for one that has proven its key. */
  leaves(stranger: Stranger): void {
    if (!this.#waiting.delete(stranger)) return;
    if (this.#leaving.size >= this.#maximum) oldestOf(this.#leaving)?.terminate();
    this.#leaving.add(stranger);
  }

  /** It proved its key, or is gone. */
  remove(stranger: Stranger): void {
    this.#waiting.delete(stranger);
    this.#leaving.delete(stranger);
  }
}

function oldestOf(strangers: ReadonlySet<Stranger>): Stranger | undefined {
  const [oldest] = strangers;
  return oldest;
}
