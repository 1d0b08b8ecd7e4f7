import type { ConfigurationReport, ParameterReport } from '../../src/contract/outputs.ts';

/** A few parameters of its own, so that a new row in the real table changes no test. */
export function sampleConfiguration(): ConfigurationReport {
  return {
    parameters: [
      {
        name: 'entropySources',
        type: 'integer',
        description: 'Mask of noise sources',
        configured: 12,
        runtime: 4,
        default: 0,
        stored: 12,
        origin: 'store',
        range: '0 to 15',
        takesEffect: 'next-start',
      },
      {
        name: 'disableHwrng',
        type: 'boolean',
        description: 'Takes RDRAND and RDSEED out of the mask',
        configured: false,
        runtime: false,
        default: false,
        stored: null,
        origin: 'default',
        range: 'true or false',
        takesEffect: 'next-start',
      },
      {
        name: 'feedIntervalSeconds',
        type: 'integer',
        description: 'Time between two feeds of the kernel pool',
        configured: 5,
        runtime: 5,
        default: 10,
        stored: null,
        origin: 'flag',
        range: '1 to 3600 seconds',
        takesEffect: 'now',
      },
      ...CACHE_PARAMETERS.map(sampleParameter),
    ],
    startSettings: [
      {
        name: 'listen',
        takes: 'HOST:PORT',
        description: 'Where feeders connect',
        value: '127.0.0.1:8741',
        default: '127.0.0.1:8740',
        origin: 'file',
      },
    ],
    refused: '',
  };
}

const CACHE_PARAMETERS = [
  ['memoryCacheSizeKibibytes', 612, 512],
  ['memoryCacheLowWatermarkPercentage', 20, 20],
  ['storageCacheSizeKibibytes', 4_096, 4_096],
  ['externalEntropyLostTimeoutSeconds', 70, 60],
] as const;

function sampleParameter([name, configured, initial]: (typeof CACHE_PARAMETERS)[number]): ParameterReport {
  return {
    name,
    type: 'integer',
    description: 'One of the caches of external entropy',
    configured,
    runtime: configured,
    default: initial,
    stored: configured === initial ? null : configured,
    origin: configured === initial ? 'default' : 'store',
    range: '1 to 1048576',
    takesEffect: 'now',
  };
}
