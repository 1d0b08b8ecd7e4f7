/** The closed sets of names that several layers share. Their order is part of formats: append, never reorder. */

/** Noise sources in the order of their bits in the source mask and of their slots in the mixer. */
export const SOURCE_NAMES = ['interrupts', 'rdrand', 'rdseed', 'external'] as const;
export type SourceName = (typeof SOURCE_NAMES)[number];

/** Bits of `entropySources`, as VMware ESXi numbers them. */
export const SOURCE_BITS = { interrupts: 1, rdrand: 2, rdseed: 4, external: 8 } as const satisfies Record<
  SourceName,
  number
>;

export const SOURCE_STATES = [
  'masked-out',
  'unavailable',
  'startup',
  'healthy',
  'intermittent',
  'failed',
  'stalled',
] as const;
export type SourceStateName = (typeof SOURCE_STATES)[number];

/** What a health test says: the highest tier that a sample reached. */
export type Verdict = 'healthy' | 'intermittent' | 'permanent';

/** Why the gate is closed. */
export const GATE_REASONS = ['warming', 'credit-starved', 'exhausted', 'failed', 'no-source'] as const;
export type GateReason = (typeof GATE_REASONS)[number];

/** One figure for each source. */
export type PerSource<T> = Readonly<Record<SourceName, T>>;

/** Makes one figure for each source. */
export function perSource<T>(make: (name: SourceName) => T): Record<SourceName, T> {
  return {
    interrupts: make('interrupts'),
    rdrand: make('rdrand'),
    rdseed: make('rdseed'),
    external: make('external'),
  };
}
