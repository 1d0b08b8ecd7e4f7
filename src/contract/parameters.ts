import { Type, type Static, type TBoolean, type TInteger } from 'typebox';
import { EntropyError } from '../base/errors.ts';

/**
 * The one table of parameters. Types, validation, the stored configuration, REST, the control command and the
 * documentation are all made from it: a new parameter is one row.
 */

/** When a change takes effect: at once, or when the daemon starts again. */
export type ParameterKind = 'live' | 'next-start';

interface ParameterText {
  /** The name in commands and options, in the style of esxcli. */
  readonly name: string;
  readonly kind: ParameterKind;
  readonly description: string;
}

export interface IntegerParameter extends ParameterText {
  readonly type: 'integer';
  readonly schema: TInteger;
  readonly default: number;
  readonly minimum: number;
  readonly maximum: number;
  /** Values are multiples of this; 1 when any integer will do. */
  readonly multipleOf: number;
  /** What one of it is, for people; empty for a plain number. */
  readonly unit: string;
}

export interface BooleanParameter extends ParameterText {
  readonly type: 'boolean';
  readonly schema: TBoolean;
  readonly default: boolean;
}

export type Parameter = IntegerParameter | BooleanParameter;

export const PARAMETERS = {
  entropySources: integer({
    name: 'entropy-sources',
    kind: 'next-start',
    description:
      'Mask of noise sources: 1 interrupts, 2 RDRAND, 4 RDSEED, 8 external; 0 chooses RDSEED, or 1 and 2 without it.',
    default: 0,
    minimum: 0,
    maximum: 15,
    unit: '',
  }),
  disableHwrng: boolean({
    name: 'disable-hwrng',
    kind: 'next-start',
    description: 'Takes RDRAND and RDSEED out of the mask; 0 then leaves interrupts.',
    default: false,
  }),
  feedIntervalSeconds: integer({
    name: 'feed-interval',
    kind: 'live',
    description: 'Time between two feeds of the kernel pool.',
    default: 10,
    minimum: 1,
    maximum: 3600,
    unit: 'seconds',
  }),
  feedBytes: integer({
    name: 'feed-bytes',
    kind: 'live',
    description: 'Bytes given to the kernel pool at each feed, in blocks of 32.',
    default: 64,
    minimum: 32,
    maximum: 4096,
    multipleOf: 32,
    unit: 'bytes',
  }),
  creditCpuToKernel: boolean({
    name: 'credit-cpu-to-kernel',
    kind: 'live',
    description:
      'Asks the kernel to credit the local sources too, although it counts them by itself already.',
    default: false,
  }),
  memoryCacheSizeKibibytes: integer({
    name: 'memory-cache-size',
    kind: 'live',
    description: 'Size of the memory cache of external entropy.',
    default: 512,
    minimum: 64,
    maximum: 65_536,
    unit: 'KiB',
  }),
  memoryCacheLowWatermarkPercentage: integer({
    name: 'memory-cache-low-watermark',
    kind: 'live',
    description:
      'Fill of the memory cache below which it is refilled from storage, and an alarm told if it cannot be.',
    default: 20,
    minimum: 1,
    maximum: 99,
    unit: '%',
  }),
  storageCacheSizeKibibytes: integer({
    name: 'storage-cache-size',
    kind: 'live',
    description: 'Size of the encrypted cache of external entropy on disk.',
    default: 4096,
    minimum: 256,
    maximum: 1_048_576,
    unit: 'KiB',
  }),
  externalEntropyLostTimeoutSeconds: integer({
    name: 'external-entropy-lost-timeout',
    kind: 'live',
    description: 'A feeder that was not heard for so long is told as lost.',
    default: 60,
    minimum: 1,
    maximum: 86_400,
    unit: 'seconds',
  }),
  servedDrawLimitBitsPerSecond: integer({
    name: 'served-draw-limit',
    kind: 'live',
    description: 'Externally credited bits that served output may spend.',
    default: 512,
    minimum: 0,
    maximum: 8_388_608,
    unit: 'bits/s',
  }),
} as const satisfies Record<string, Parameter>;

export type ParameterKey = keyof typeof PARAMETERS;
export type Configuration = { readonly [K in ParameterKey]: Static<(typeof PARAMETERS)[K]['schema']> };
/** Some values of a configuration, all of them checked. */
export type PartialConfiguration = { readonly [K in ParameterKey]?: Configuration[K] };
/** What a change asks for: a new value, or null to go back to the default. */
export type ConfigurationChange = { readonly [K in ParameterKey]?: Configuration[K] | null };

export const PARAMETER_KEYS: readonly ParameterKey[] = Object.keys(PARAMETERS).filter(isParameterKey);

export const ConfigurationSchema = Type.Object(
  Object.fromEntries(PARAMETER_KEYS.map((key) => [key, PARAMETERS[key].schema])) as {
    [K in ParameterKey]: (typeof PARAMETERS)[K]['schema'];
  },
  { additionalProperties: false },
);

/** Body of a change: each key optional; null stands for the default. */
export const ConfigurationChangeSchema = Type.Unsafe<ConfigurationChange>(
  Type.Object(
    Object.fromEntries(
      PARAMETER_KEYS.map((key) => [key, Type.Optional(Type.Union([PARAMETERS[key].schema, Type.Null()]))]),
    ),
    { additionalProperties: false, minProperties: 1 },
  ),
);

export const DEFAULT_CONFIGURATION: Configuration = Object.freeze(
  Object.fromEntries(PARAMETER_KEYS.map((key) => [key, PARAMETERS[key].default])) as unknown as Configuration,
);

/** Where a value comes from; the first of these that has it wins. */
export const ORIGINS = ['flag', 'file', 'store', 'default'] as const;
export type Origin = (typeof ORIGINS)[number];

export interface ConfigurationLayers {
  /** From the command line. */
  readonly flags: PartialConfiguration;
  /** From a configuration file. */
  readonly file: PartialConfiguration;
  /** From the state archive. */
  readonly store: PartialConfiguration;
}

export interface ResolvedConfiguration {
  readonly values: Configuration;
  readonly origins: Readonly<Record<ParameterKey, Origin>>;
}

export function isParameterKey(text: string): text is ParameterKey {
  return Object.hasOwn(PARAMETERS, text);
}

/** The key behind a command's name (`feed-interval`), if there is one. */
export function parameterKeyNamed(name: string): ParameterKey | undefined {
  return PARAMETER_KEYS.find((key) => PARAMETERS[key].name === name);
}

/** The values a parameter takes, for people: `0 to 15`, `32 to 4096 bytes in steps of 32`, `true or false`. */
export function rangeOf(key: ParameterKey): string {
  const parameter: Parameter = PARAMETERS[key];
  if (parameter.type === 'boolean') return 'true or false';
  const unit = parameter.unit === '' ? '' : ` ${parameter.unit}`;
  const step = parameter.multipleOf === 1 ? '' : ` in steps of ${parameter.multipleOf}`;
  return `${parameter.minimum} to ${parameter.maximum}${unit}${step}`;
}

/** Some parameters with their values, from JSON. Throws `parameter-unknown`, `parameter-invalid`. */
export function parseConfiguration(input: unknown): PartialConfiguration {
  const entries = entriesOf(input).map(([key, value]) => [key, checked(key, value)]);
  return Object.freeze(Object.fromEntries(entries) as PartialConfiguration);
}

/** A change from JSON: like a configuration, and null stands for the default. Throws as parseConfiguration does. */
export function parseChange(input: unknown): ConfigurationChange {
  const entries = entriesOf(input).map(([key, value]) => [key, value === null ? null : checked(key, value)]);
  if (entries.length === 0)
    throw new EntropyError('parameter-invalid', 'a change names at least one parameter');
  return Object.freeze(Object.fromEntries(entries) as ConfigurationChange);
}

/**
 * A value as people type it (`12`, `true`), for a flag or a command. Throws `parameter-invalid`.
 */
export function parseParameterText(key: ParameterKey, text: string): number | boolean {
  if (PARAMETERS[key].type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true';
  } else if (/^[0-9]{1,15}$/.test(text)) {
    return checked(key, Number(text));
  }
  throw invalid(key, text);
}

/** One value per parameter by precedence flag > file > store > default, and where each came from. */
export function resolveConfiguration(layers: ConfigurationLayers): ResolvedConfiguration {
  const byOrigin: Readonly<Record<Origin, PartialConfiguration>> = {
    flag: layers.flags,
    file: layers.file,
    store: layers.store,
    default: DEFAULT_CONFIGURATION,
  };
  const originOf = (key: ParameterKey): Origin =>
    ORIGINS.find((origin) => byOrigin[origin][key] !== undefined) ?? 'default';
  const origins = Object.fromEntries(PARAMETER_KEYS.map((key) => [key, originOf(key)])) as Record<
    ParameterKey,
    Origin
  >;
  const values = Object.fromEntries(PARAMETER_KEYS.map((key) => [key, byOrigin[origins[key]][key]]));
  return Object.freeze({
    values: Object.freeze(values as unknown as Configuration),
    origins: Object.freeze(origins),
  });
}

function integer(
  row: Omit<IntegerParameter, 'type' | 'schema' | 'multipleOf'> & { readonly multipleOf?: number },
): IntegerParameter {
  const { minimum, maximum, multipleOf = 1, description } = row;
  const schema = Type.Integer({ minimum, maximum, multipleOf, default: row.default, description });
  return Object.freeze({ ...row, type: 'integer', multipleOf, schema });
}

function boolean(row: Omit<BooleanParameter, 'type' | 'schema'>): BooleanParameter {
  const schema = Type.Boolean({ default: row.default, description: row.description });
  return Object.freeze({ ...row, type: 'boolean', schema });
}

function entriesOf(input: unknown): [ParameterKey, unknown][] {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new EntropyError('parameter-invalid', 'the configuration must be an object of parameters');
  }
  return Object.entries(input).map(([key, value]) => {
    if (!isParameterKey(key))
      throw new EntropyError('parameter-unknown', `there is no parameter ${shown(key)}`);
    return [key, value];
  });
}

/** The same bounds as the row's schema; spelt out here so that the control command need not load a validator. */
function checked(key: ParameterKey, value: unknown): number | boolean {
  const parameter: Parameter = PARAMETERS[key];
  if (parameter.type === 'boolean') {
    if (typeof value === 'boolean') return value;
  } else if (typeof value === 'number' && Number.isInteger(value)) {
    const { minimum, maximum, multipleOf } = parameter;
    if (value >= minimum && value <= maximum && value % multipleOf === 0) return value;
  }
  throw invalid(key, value);
}

function invalid(key: ParameterKey, value: unknown): EntropyError {
  return new EntropyError(
    'parameter-invalid',
    `${key} = ${shown(value)} is refused: it takes ${rangeOf(key)}`,
  );
}

const SHOWN_LENGTH = 40;

/** A hostile value for an error's detail: one line of printable ASCII, bounded before it is built. */
function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  const text =
    typeof value === 'string' ? `"${value.slice(0, SHOWN_LENGTH)}"` : String(value).slice(0, SHOWN_LENGTH);
  const cut = typeof value === 'string' && value.length > SHOWN_LENGTH ? '…' : '';
  return text.replace(/[^\x20-\x7e]/g, '?') + cut;
}
