import { isIPv6 } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { MS_PER_SECOND } from '../../base/units.ts';
import { RateLimit, type RateLimitOptions } from '../../service/rate-limit.ts';

export interface AttemptLimitOptions {
  readonly perAddress: RateLimitOptions;
  readonly overall: RateLimitOptions;
  /** Addresses remembered; the one that tried longest ago is forgotten for the next. */
  readonly maximumAddresses: number;
}

/** How often something may be tried: from one address, and by all together. */
export class AttemptLimit {
  readonly #options: AttemptLimitOptions;
  readonly #clock: Clock;
  readonly #overall: RateLimit;
  /** The last to try is last. */
  readonly #byAddress = new Map<string, RateLimit>();

  constructor(options: AttemptLimitOptions, dependencies: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#overall = new RateLimit(options.overall, dependencies.clock.monotonicMs());
  }

  get addresses(): number {
    return this.#byAddress.size;
  }

  /** Counts a try and gives 0; or counts none and gives the milliseconds after which there may be one. */
  take(address: string): number {
    const nowMs = this.#clock.monotonicMs();
    const { perAddress, overall } = this.#options;
    const own = this.#limitOf(keyOf(address), nowMs);
    const waitMs = Math.max(waitOf(own, perAddress, nowMs), waitOf(this.#overall, overall, nowMs));
    if (waitMs > 0) return waitMs;
    own.take(1, nowMs);
    this.#overall.take(1, nowMs);
    return 0;
  }

  /** The try that was counted last for this address did not deserve it. */
  giveBack(address: string): void {
    this.#byAddress.get(keyOf(address))?.giveBack(1);
    this.#overall.giveBack(1);
  }

  #limitOf(key: string, nowMs: number): RateLimit {
    const { perAddress, maximumAddresses } = this.#options;
    const limit = this.#byAddress.get(key) ?? new RateLimit(perAddress, nowMs);
    this.#byAddress.delete(key);
    const [oldest] = this.#byAddress.keys();
    if (oldest !== undefined && this.#byAddress.size >= maximumAddresses) this.#byAddress.delete(oldest);
    this.#byAddress.set(key, limit);
    return limit;
  }
}

function waitOf(limit: RateLimit, { perSecond }: RateLimitOptions, nowMs: number): number {
  return Math.ceil((Math.max(0, 1 - limit.available(nowMs)) * MS_PER_SECOND) / perSecond);
}

/** Whoever has one IPv6 address has the other 2^64 of its network (RFC 4291, 2.5.1) too; and a mapped IPv4 address is that address. */
function keyOf(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...(tail === undefined ? [] : zeros), ...after].slice(0, 4).join(':');
}
