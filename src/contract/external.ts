import { Type, type Static } from 'typebox';
import { CACHE_LEVELS } from '../base/names.ts';
import { closed, oneOf } from './schema-parts.ts';

/** What the daemon tells of its external entropy: the two caches, the draw on them, and whether anybody feeds them. */

const size = Type.Integer({ minimum: 0 });

/** `connected`: heard of within external-entropy-lost-timeout. `never`: nobody fed since the daemon started. */
export const LinkSchema = oneOf('connected', 'lost', 'never');
export type LinkName = Static<typeof LinkSchema>;

/** What the engine thread knows: the caches and the draw on them. */
export const ExternalCacheReportSchema = Type.Object(
  {
    level: oneOf(...CACHE_LEVELS),
    memoryBytes: size,
    memorySizeBytes: size,
    lowWatermarkBytes: Type.Integer({ minimum: 0, description: 'Of the memory cache' }),
    storedBytes: size,
    storageSizeBytes: size,
    installSeedBytes: Type.Integer({
      minimum: 0,
      description: 'What is left of the install seed in both caches; it is used first, and counts in no size',
    }),
    roomBytes: Type.Integer({ minimum: 0, description: 'What both caches would take now' }),
    creditedBits: Type.Number({ minimum: 0, description: 'What all cached bytes are worth' }),
    drawBitsPerSecond: Type.Number({ minimum: 0, description: 'Credited bits drawn a second, averaged' }),
    runwaySeconds: Type.Union([Type.Number({ minimum: 0 }), Type.Null()], {
      description: 'How long the cached credit lasts at the present draw; null when nothing is drawn',
    }),
    servableBits: Type.Number({
      minimum: 0,
      description: 'Cached credit above the reserve that is kept for the kernel',
    }),
    refilling: Type.Boolean({ description: 'Segments are on their way from storage to memory' }),
    storageFailure: Type.String({ description: 'Why storage takes nothing; empty when it does' }),
  },
  closed,
);
export type ExternalCacheReport = Static<typeof ExternalCacheReportSchema>;

/** What the main thread knows of the key that the storage cache is under. */
export const CacheKeyReportSchema = Type.Object(
  {
    keyGeneration: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      description:
        'Of the key-encryption key of the storage cache, as the TPM counts it; null where none is counted',
    }),
    keyChangedMs: Type.Union([Type.Integer(), Type.Null()], {
      description:
        'When it came into force: older copies of the disk open nothing that was used before; null when not since the daemon started',
    }),
    keyFailure: Type.String({ description: 'Why it could not be changed, or told; empty when it could' }),
  },
  closed,
);
export type CacheKeyReport = Static<typeof CacheKeyReportSchema>;

export const ExternalReportSchema = Type.Object(
  {
    enabled: Type.Boolean({
      description:
        'Bit 8 is in the running mask. Where it is not, the caches are not open and their figures are 0, whatever is on disk',
    }),
    link: LinkSchema,
    feedersConnected: size,
    ...ExternalCacheReportSchema.properties,
    ...CacheKeyReportSchema.properties,
  },
  closed,
);
export type ExternalReport = Static<typeof ExternalReportSchema>;
