import type { Clock, Timer } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import { CREDIT_UNITS_PER_BIT, MS_PER_SECOND } from '../base/units.ts';
import type { FeedClientEvent } from './feed-client-events.ts';
import type { FeederEnd, FeederEvent } from './feeder.ts';

export type ProgressForm = 'terminal' | 'json' | 'none';

export interface ProgressOptions {
  readonly form: ProgressForm;
  /** Width of the terminal, in characters. */
  readonly columns: number;
}

export interface ProgressDependencies {
  readonly clock: Clock;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** What has become of the bytes so far. */
interface Totals {
  sentBytes: number;
  receivedFrames: number;
  memoryBytes: number;
  storedBytes: number;
  creditUnits: number;
  lostFrames: number;
  lostBytes: number;
}

const TERMINAL_INTERVAL_MS = 1_000;
const JSON_INTERVAL_MS = 10_000;
const ERASE_LINE = '\r\u001b[K';

/**
 * Shows a feed: on a terminal one line that is kept current, with what is out of the ordinary above it on stderr; elsewhere a JSON line for
 * each event and each ten seconds.
 */
export class Progress {
  readonly #form: ProgressForm;
  readonly #columns: number;
  readonly #clock: Clock;
  readonly #stdout: (text: string) => void;
  readonly #stderr: (text: string) => void;
  readonly #totals: Totals = {
    sentBytes: 0,
    receivedFrames: 0,
    memoryBytes: 0,
    storedBytes: 0,
    creditUnits: 0,
    lostFrames: 0,
    lostBytes: 0,
  };
  #verdict = '';
  #level = '';
  #roomBytes = 0;
  #shownBytes = 0;
  #shownMs: number;
  #timer: Timer | undefined;

  constructor(options: ProgressOptions, dependencies: ProgressDependencies) {
    this.#form = options.form;
    this.#columns = options.columns;
    this.#clock = dependencies.clock;
    this.#stdout = dependencies.stdout;
    this.#stderr = dependencies.stderr;
    this.#shownMs = this.#clock.monotonicMs();
    this.#schedule();
  }

  /** An event of client or feeder. */
  readonly observe = (event: FeedClientEvent | FeederEvent): void => {
    switch (event.kind) {
      case 'connected':
        this.#json('connected', {
          software: event.hello.software,
          feederClass: event.welcome.feederClass,
          bitsPerByte: event.welcome.rateUnits / CREDIT_UNITS_PER_BIT,
          nextSequence: event.welcome.nextSequence,
        });
        break;
      case 'sent':
        this.#totals.sentBytes += event.bytes;
        break;
      case 'receipt':
        this.#receipt(event);
        break;
      case 'room':
        this.#roomBytes = event.grantedBytes;
        break;
      case 'level':
        if (this.#level !== event.report.level)
          this.#json('level', { level: event.report.level, cachedPercent: event.report.cachedPercent });
        this.#level = event.report.level;
        break;
      case 'lost':
        this.#totals.lostFrames += event.frames;
        this.#totals.lostBytes += event.bytes;
        this.#warn(
          'lost',
          `${event.frames} frames got no receipt; their ${event.bytes} bytes are destroyed`,
          {
            frames: event.frames,
            bytes: event.bytes,
          },
        );
        break;
      case 'retry':
        this.#retry(event);
        break;
      case 'left-out':
        this.#warn('left-out', `the last ${event.bytes} bytes are too few for a frame and were left out`, {
          bytes: event.bytes,
        });
        break;
    }
  };

  /** What the input worries about. */
  readonly warn = (text: string): void => this.#warn('warning', text, { text });

  /** The last words; nothing is shown after them. */
  end(end: FeederEnd | undefined): void {
    this.#timer?.cancel();
    if (this.#form === 'terminal') {
      this.#show();
      this.#stdout('\n');
    }
    if (end !== undefined) this.#json('end', { reason: end, ...this.#figures() });
  }

  #receipt({ receipt }: Extract<FeedClientEvent, { kind: 'receipt' }>): void {
    if (receipt.kind === 'end') return;
    this.#totals.receivedFrames += 1;
    this.#totals.memoryBytes += receipt.memoryBytes;
    this.#totals.storedBytes += receipt.storedBytes;
    this.#totals.creditUnits += receipt.creditUnits;
    this.#verdict = receipt.verdict;
  }

  #retry({ error, waitMs }: { readonly error: EntropyError; readonly waitMs: number }): void {
    const seconds = (waitMs / MS_PER_SECOND).toFixed(1);
    this.#warn('retry', `${error.code}: ${error.message}; next try in ${seconds} s`, {
      code: error.code,
      because: error.message,
      waitMs: Math.round(waitMs),
    });
  }

  #schedule(): void {
    if (this.#form === 'none') return;
    const intervalMs = this.#form === 'terminal' ? TERMINAL_INTERVAL_MS : JSON_INTERVAL_MS;
    this.#timer = this.#clock.after(intervalMs, () => {
      this.#show();
      this.#schedule();
    });
  }

  #show(): void {
    if (this.#form === 'json') this.#json('progress', this.#figures());
    if (this.#form === 'terminal') this.#stdout(`${ERASE_LINE}${this.#line().slice(0, this.#columns - 1)}`);
  }

  #line(): string {
    const { sentBytes, memoryBytes, storedBytes, creditUnits } = this.#totals;
    const parts = [
      `${amount(this.#bytesPerSecond())}/s`,
      `${amount(sentBytes)} sent`,
      `${amount(memoryBytes)} memory`,
      `${amount(storedBytes)} stored`,
      `${Math.floor(creditUnits / CREDIT_UNITS_PER_BIT)} bits credited`,
      `${amount(this.#roomBytes)} room`,
      ...(this.#verdict === '' ? [] : [`last ${this.#verdict}`]),
    ];
    return parts.join('  ');
  }

  #figures(): Readonly<Record<string, string | number>> {
    const { creditUnits, ...totals } = this.#totals;
    return {
      bytesPerSecond: Math.round(this.#bytesPerSecond()),
      ...totals,
      creditedBits: Math.floor(creditUnits / CREDIT_UNITS_PER_BIT),
      roomBytes: this.#roomBytes,
      level: this.#level,
      lastVerdict: this.#verdict,
    };
  }

  /** Over the time since it was shown last. */
  #bytesPerSecond(): number {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = Math.max(1, nowMs - this.#shownMs);
    const rate = ((this.#totals.sentBytes - this.#shownBytes) / elapsedMs) * MS_PER_SECOND;
    this.#shownMs = nowMs;
    this.#shownBytes = this.#totals.sentBytes;
    return rate;
  }

  /** Out of the ordinary: people see it as well. */
  #warn(event: string, text: string, fields: Readonly<Record<string, string | number>>): void {
    this.#json(event, fields);
    if (this.#form === 'json') return;
    this.#stderr(`${this.#form === 'terminal' ? ERASE_LINE : ''}entropy-feed: ${printable(text)}\n`);
  }

  #json(event: string, fields: Readonly<Record<string, string | number>>): void {
    if (this.#form !== 'json') return;
    const time = new Date(this.#clock.wallMs()).toISOString();
    this.#stdout(`${JSON.stringify({ event, time, ...fields })}\n`);
  }
}

/** What comes from elsewhere (a path, a host's words) must not drive the terminal. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}]/gu, '?');
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Three figures and a decimal unit. */
function amount(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step === 0 ? Math.round(value) : value.toPrecision(3)} ${UNITS[step] ?? ''}`;
}
