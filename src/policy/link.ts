export interface LinkOptions {
  /** `external-entropy-lost-timeout`, in milliseconds. */
  readonly timeoutMs: number;
}

/** Why a link is lost: nobody is there, or somebody is, with room granted, but gives no bytes. */
export type LinkLoss = 'silent' | 'dry';

export interface LinkState {
  readonly state: 'connected' | 'lost';
  /** Null while connected, and before the first timeout after start. */
  readonly loss: LinkLoss | null;
}

/**
 * Whether external entropy can be expected: of one feeder, or of the host when every feeder's frames are told to it.
 *
 *   lost (never heard)  ──heard──►  connected  ──nothing heard for the timeout──►  lost: silent  ──heard──►  connected
 *                                       └──grant outstanding, no bytes for the timeout──►  lost: dry  ──bytes, or no grant──►  connected
 *
 * Without a grant outstanding nobody may send, so silence of bytes is no fault then. Times are milliseconds of a clock that does not
 * go back; the owner keeps one timer, for `deadlineMs`.
 */
export class Link {
  #timeoutMs: number;
  #connected = false;
  #loss: LinkLoss | null = null;
  #heardMs: number;
  /** When bytes came last or the grant that waits for them was given, whichever is later; undefined without a grant. */
  #waitingSinceMs: number | undefined;
  /** The next bytes are news: the first ever, or the first after a loss. */
  #receivedIsNews = true;

  constructor(options: LinkOptions, nowMs: number) {
    this.#timeoutMs = expectTimeout(options);
    this.#heardMs = nowMs;
  }

  get state(): LinkState {
    return { state: this.#connected ? 'connected' : 'lost', loss: this.#loss };
  }

  /** When `check` is due next; undefined when only hearing something can change the state. */
  get deadlineMs(): number | undefined {
    if (this.#loss === 'silent') return undefined;
    const silentMs = this.#heardMs + this.#timeoutMs;
    if (this.#waitingSinceMs === undefined || this.#loss === 'dry') return silentMs;
    return Math.min(silentMs, this.#waitingSinceMs + this.#timeoutMs);
  }

  /** An authentic frame came, of whatever type. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    if (this.#loss === 'dry') return;
    // Who comes back has the whole timeout to give bytes: before, nobody could.
    if (this.#loss === 'silent' && this.#waitingSinceMs !== undefined) this.#waitingSinceMs = nowMs;
    this.#connect();
  }

  /** A frame of entropy came; `received` when it is the first, or the first after a loss. */
  bytes(nowMs: number): 'received' | undefined {
    this.#heardMs = nowMs;
    if (this.#waitingSinceMs !== undefined) this.#waitingSinceMs = nowMs;
    this.#connect();
    if (!this.#receivedIsNews) return undefined;
    this.#receivedIsNews = false;
    return 'received';
  }

  /** Whether room is granted that waits for bytes. */
  granted(outstanding: boolean, nowMs: number): void {
    if (!outstanding) {
      this.#waitingSinceMs = undefined;
      if (this.#loss === 'dry') this.#connect();
    } else {
      this.#waitingSinceMs ??= nowMs;
    }
  }

  /** Tells a loss once its timeout has passed. Called at `deadlineMs` or later. */
  check(nowMs: number): LinkLoss | undefined {
    const loss = this.#lossAt(nowMs);
    if (loss === undefined || loss === this.#loss) return undefined;
    this.#connected = false;
    this.#loss = loss;
    this.#receivedIsNews = true;
    return loss;
  }

  /** Another timeout: what has waited so long already is lost at the next check. */
  reconfigure(options: LinkOptions): void {
    this.#timeoutMs = expectTimeout(options);
  }

  #lossAt(nowMs: number): LinkLoss | undefined {
    if (nowMs - this.#heardMs >= this.#timeoutMs) return 'silent';
    if (this.#waitingSinceMs !== undefined && nowMs - this.#waitingSinceMs >= this.#timeoutMs) return 'dry';
    return undefined;
  }

  #connect(): void {
    this.#connected = true;
    this.#loss = null;
  }
}

function expectTimeout({ timeoutMs }: LinkOptions): number {
  if (!(timeoutMs > 0 && timeoutMs < Infinity)) throw new RangeError('timeoutMs is above 0');
  return timeoutMs;
}
