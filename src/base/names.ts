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

/**
 * Who vouches for a feeder's bytes: a certified full-entropy source, an assessed noise source, a DRBG behind an interface
 * (PKCS#11, TPM), the public (a beacon), or this host itself. The last two are worth nothing and cannot satisfy bit 8.
 */
export const FEEDER_CLASSES = ['full-entropy', 'noise', 'drbg', 'public', 'host-derived'] as const;
export type FeederClass = (typeof FEEDER_CLASSES)[number];

/** Name of a feeder: in messages, files, logs and commands. */
export const FEEDER_NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,31}$/;

/** How much external entropy is cached, judged after a refill; least alarming first. */
export const CACHE_LEVELS = ['normal', 'below-watermark', 'memory-exhausted', 'exhausted'] as const;
export type CacheLevel = (typeof CACHE_LEVELS)[number];

/** What became of a frame of external entropy; its place is its code on the wire. */
export const FRAME_VERDICTS = [
  'accepted',
  'uncredited',
  'test-failed',
  'duplicate',
  'no-room',
  'not-stored',
] as const;
export type FrameVerdict = (typeof FRAME_VERDICTS)[number];

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

/** Where firmware measures Secure Boot: its state and its keys (TCG PC Client Platform Firmware Profile, 2.3.4.8). */
export const SECURE_BOOT_PCR = 7;
