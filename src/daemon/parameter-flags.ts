import {
  type ParameterKey,
  PARAMETERS,
  parseConfiguration,
  parseParameterText,
  type PartialConfiguration,
} from '../contract/parameters.ts';

/** Parameters that may be given as flags; their names are the table's. */
export const PARAMETER_FLAGS = [
  'entropySources',
  'disableHwrng',
  'feedIntervalSeconds',
  'feedBytes',
  'creditCpuToKernel',
  'memoryCacheSizeKibibytes',
  'memoryCacheLowWatermarkPercentage',
  'storageCacheSizeKibibytes',
  'externalEntropyLostTimeoutSeconds',
  'servedDrawLimitBitsPerSecond',
] as const satisfies readonly ParameterKey[];

/** Those of the values that are parameters, parsed. @throws EntropyError parameter-invalid */
export function parameterFlags(
  values: Readonly<Record<string, string | boolean | undefined>>,
): PartialConfiguration {
  const given = PARAMETER_FLAGS.flatMap((key) => {
    const value = values[PARAMETERS[key].name];
    return typeof value === 'string' ? [[key, parseParameterText(key, value)] as const] : [];
  });
  return parseConfiguration(Object.fromEntries(given));
}
