/**
 * The closed table of counters: what each counts, and its unit. A counter only rises, and starts at 0 with the
 * process; running totals that survive a restart are the feed ledger's.
 */
export const COUNTERS = {
  'blocks.extracted': 'full-entropy blocks of 32 bytes drawn from the pool',
  'blocks.missed': 'draws that found less than 320 credited bits',
  'credentials.refused': 'wrong tokens and passwords, and those not looked at because too many were tried',
  'drbg.reseeds': 'DRBG instantiations and reseeds',
  'cache.bytes.drawn': 'bytes of external entropy taken from the memory cache',
  'cache.bytes.destroyed':
    'cached bytes overwritten unused: a smaller cache, a revoked feeder, a damaged segment',
  'cache.segments.opened': 'segments of the storage cache whose key was destroyed to use their bytes',
  'cache.storage.failures': 'writes of the storage cache that the disk refused',
  'egd.requests': 'commands answered on the EGD socket',
  'engine.requests.refused': 'engine requests refused because its queue was full',
  'events.dropped': 'events a slow subscriber did not get',
  'feed.blocks': 'blocks of 32 bytes given to the kernel',
  'feed.bytes': 'bytes given to the kernel',
  'feed.failures': 'kernel feeds that failed',
  'feeder.bytes': 'bytes of external entropy taken from feeders',
  'feeder.connections': 'feed connections that proved a feeder',
  'feeder.connections.refused': 'feed connections closed before or instead of a proof',
  'feeder.frames': 'frames of external entropy that were answered by a receipt',
  'feeder.frames.duplicate': 'frames whose payload had been seen before',
  'feeder.frames.failed': 'frames that failed the tests at the door',
  'feeder.frames.refused': 'frames that broke a rule of the protocol; each ends its connection',
  'feeder.handshakes.failed': 'proofs that did not match: an unknown feeder or a wrong key',
  'http.errors': 'HTTP requests answered with status 400 or above',
  'http.requests': 'HTTP requests answered',
  'ingest.bytes': 'raw bytes taken from noise sources and tested',
  'ingest.failures.intermittent': 'health-test failures at the intermittent cutoff',
  'ingest.failures.permanent': 'health-test failures at the permanent cutoff',
  'ingest.faults': 'reads a source refused or could not complete',
  'ledger.failures': 'feed-ledger records that could not be written',
  'tls.handshakes.failed':
    'connections that ended before or in the TLS handshake, or without the client certificate asked for',
  'pool.bytes.dropped': 'bytes added by polling clients that found no room or rate, or had come before',
  'selftest.runs': 'self-tests run',
  'served.bytes': 'bytes of DRBG output served to readers',
  'served.externalBits': 'externally credited bits spent on served output',
  'served.refused': 'requests for served output that budget, reserve or gate refused',
} as const;

export type CounterName = keyof typeof COUNTERS;
export type CounterSnapshot = Readonly<Record<CounterName, number>>;

export class Counters {
  readonly #values = new Map<CounterName, number>();

  add(name: CounterName, amount = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + amount);
  }

  value(name: CounterName): number {
    return this.#values.get(name) ?? 0;
  }

  /** All counters of the table, those never touched as 0. */
  snapshot(): CounterSnapshot {
    const names = Object.keys(COUNTERS) as CounterName[];
    return Object.fromEntries(names.map((name) => [name, this.value(name)])) as CounterSnapshot;
  }
}
