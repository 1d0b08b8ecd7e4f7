import type { CommandEntry, OptionEntry } from './command-entry.ts';
import { PARAMETERS, type IntegerParameter, type ParameterKey } from './parameters.ts';
import { SHAPES } from './shapes.ts';

/** `system entropyd`: the cache parameters under the names, and in the order, that esxcli gives them. */

export const ENTROPYD_KEYS = [
  'externalEntropyLostTimeoutSeconds',
  'memoryCacheLowWatermarkPercentage',
  'memoryCacheSizeKibibytes',
  'storageCacheSizeKibibytes',
] as const satisfies readonly ParameterKey[];

const ROWS: readonly IntegerParameter[] = ENTROPYD_KEYS.map((key) => PARAMETERS[key]);

/** Short names of the options, by the parameters' names. */
const SHORT: Readonly<Record<string, string>> = {
  'external-entropy-lost-timeout': 't',
  'memory-cache-low-watermark': 'w',
  'memory-cache-size': 'm',
  'storage-cache-size': 's',
};

function valueOption({ name, description, minimum, maximum, unit }: IntegerParameter): OptionEntry {
  const text = description.replace(/\.$/, '');
  const short = SHORT[name];
  return {
    long: name,
    ...(short !== undefined && { short }),
    type: 'integer',
    minimum,
    maximum,
    description: `${text}, in ${unit}`,
  };
}

export const RESET_ALL = 'all';

export const ENTROPYD_COMMANDS = {
  entropydSettings: {
    words: ['system', 'entropyd', 'get'],
    summary: 'Get the parameters of the entropy caches as they are configured',
    options: [
      {
        long: 'default-values',
        short: 'd',
        type: 'flag',
        description: 'Get the default values instead',
      },
    ],
    route: 'configuration',
    output: SHAPES.entropyd,
  },
  setEntropydSettings: {
    words: ['system', 'entropyd', 'set'],
    summary: 'Set parameters of the entropy caches; all that are named are taken, at once, or none is',
    options: [
      ...ROWS.map(valueOption),
      {
        long: 'reset',
        short: 'r',
        type: 'string',
        choices: [RESET_ALL, ...ROWS.map(({ name }) => name)],
        description: 'Put this parameter, or all of them, back to the default',
      },
    ],
    route: 'changeConfiguration',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;
