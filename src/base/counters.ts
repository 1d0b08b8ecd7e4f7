/**
 * The closed table of counters: what each counts, and its unit. A counter only rises, and starts at 0 with the
 * process; running totals that survive a restart are the feed ledger's.
 */
export const COUNTERS = {
  'blocks.extracted': 'full-entropy blocks of 32 bytes drawn from the pool',
  'blocks.missed': 'draws that found less than 320 credited bits',
  'drbg.reseeds': 'DRBG instantiations and reseeds',
  'engine.requests.refused': 'engine requests refused because its queue was full',
  'events.dropped': 'events a slow subscriber did not get',
  'feed.blocks': 'blocks of 32 bytes given to the kernel',
  'feed.bytes': 'bytes given to the kernel',
  'feed.failures': 'kernel feeds that failed',
  'http.errors': 'HTTP requests answered with status 400 or above',
  'http.requests': 'HTTP requests answered',
  'ingest.bytes': 'raw bytes taken from noise sources and tested',
  'ingest.failures.intermittent': 'health-test failures at the intermittent cutoff',
  'ingest.failures.permanent': 'health-test failures at the permanent cutoff',
  'ingest.faults': 'reads a source refused or could not complete',
  'ledger.failures': 'feed-ledger records that could not be written',
  'selftest.runs': 'self-tests run',
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
