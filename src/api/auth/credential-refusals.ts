import type { Clock } from '../../base/clock.ts';
import type { Counters } from '../../base/counters.ts';
import { EntropyError, type ErrorCode } from '../../base/errors.ts';
import type { EventDetail, EventSink } from '../../base/events.ts';
import { MS_PER_SECOND } from '../../base/units.ts';
import { RateLimit } from '../../service/rate-limit.ts';
import { AttemptLimit, type AttemptLimitOptions } from './attempt-limit.ts';

/** A typing error now and then passes; a program that guesses is slowed to a try in six seconds. */
export const CREDENTIAL_LIMITS: AttemptLimitOptions = {
  perAddress: { perSecond: 1 / 6, burst: 20 },
  overall: { perSecond: 2, burst: 200 },
  maximumAddresses: 1024,
};

/** Refusals that are told as events: more would push out what matters. All of them are counted. */
const TOLD = { perSecond: 0.1, burst: 10 };

export interface Refusal {
  readonly credential: 'token' | 'password';
  readonly code: ErrorCode;
  /** For the caller: never tells a wrong name from a wrong secret. */
  readonly detail: string;
  readonly address: string;
  /** More of it for the event: the token or account that it was. */
  readonly about?: EventDetail;
}

/** What becomes of wrong credentials: counted, told, and fewer and fewer looked at. */
export class CredentialRefusals {
  readonly #events: EventSink;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #limit: AttemptLimit;
  readonly #told: RateLimit;
  #untold = 0;

  constructor(
    options: AttemptLimitOptions,
    dependencies: { readonly events: EventSink; readonly counters: Counters; readonly clock: Clock },
  ) {
    this.#events = dependencies.events;
    this.#counters = dependencies.counters;
    this.#clock = dependencies.clock;
    this.#limit = new AttemptLimit(options, dependencies);
    this.#told = new RateLimit(TOLD, dependencies.clock.monotonicMs());
  }

  /** Of something that is guessed by trying, before it is looked at. Throws `credential-rate-exceeded`. */
  beforeTrying(address: string): void {
    const waitMs = this.#limit.take(address);
    if (waitMs === 0) return;
    this.#tell({ credential: 'password', code: 'credential-rate-exceeded', detail: '', address });
    throw tooMany(waitMs);
  }

  /** What was tried was right: it was no guess. */
  wasRight(address: string): void {
    this.#limit.giveBack(address);
  }

  /** The error of a wrong token. A right one is never kept waiting by the wrong ones of others: none is found by trying. */
  ofToken(refusal: Omit<Refusal, 'credential'>): EntropyError {
    this.#tell({ ...refusal, credential: 'token' });
    const waitMs = this.#limit.take(refusal.address);
    return waitMs === 0 ? new EntropyError(refusal.code, refusal.detail) : tooMany(waitMs);
  }

  /** The error of a wrong password, which was counted before it was tried. */
  ofPassword(refusal: Omit<Refusal, 'credential'>): EntropyError {
    this.#tell({ ...refusal, credential: 'password' });
    return new EntropyError(refusal.code, refusal.detail);
  }

  #tell({ credential, code, address, about = {} }: Refusal): void {
    this.#counters.add('credentials.refused');
    this.#untold++;
    if (!this.#told.take(1, this.#clock.monotonicMs())) return;
    const count = this.#untold > 1 ? { count: this.#untold } : {};
    this.#untold = 0;
    this.#events.emit('credential.refused', { credential, code, address, ...about, ...count });
  }
}

function tooMany(waitMs: number): EntropyError {
  return new EntropyError('credential-rate-exceeded', 'too many credentials were tried', {
    members: { retryAfterSeconds: Math.ceil(waitMs / MS_PER_SECOND) },
  });
}
