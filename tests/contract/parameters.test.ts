import { Value } from 'typebox/value';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { isEntropyError } from '../../src/base/errors.ts';
import {
  ConfigurationChangeSchema,
  ConfigurationSchema,
  DEFAULT_CONFIGURATION,
  isParameterKey,
  parameterKeyNamed,
  PARAMETER_KEYS,
  PARAMETERS,
  parseChange,
  parseConfiguration,
  parseParameterText,
  rangeOf,
  resolveConfiguration,
  type Parameter,
  type ParameterKey,
} from '../../src/contract/parameters.ts';
import { count } from '../counts.ts';

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isEntropyError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'taken';
}

/** Values at and around the edges of a row, and of other types. */
function candidates(key: ParameterKey): unknown[] {
  const parameter: Parameter = PARAMETERS[key];
  const others = [true, false, null, '1', '', {}, [], NaN, Infinity, 1.5, -0];
  if (parameter.type === 'boolean') return [0, 1, ...others];
  const { minimum, maximum, multipleOf } = parameter;
  return [
    minimum - 1,
    minimum,
    minimum + 1,
    minimum + multipleOf,
    maximum - 1,
    maximum,
    maximum + 1,
    ...others,
  ];
}

test('the rows are those of the design, with its defaults', () => {
  assert.equal(DEFAULT_CONFIGURATION, {
    entropySources: 0,
    disableHwrng: false,
    feedIntervalSeconds: 10,
    feedBytes: 64,
    creditCpuToKernel: false,
    memoryCacheSizeKibibytes: 512,
    memoryCacheLowWatermarkPercentage: 20,
    storageCacheSizeKibibytes: 4096,
    externalEntropyLostTimeoutSeconds: 60,
    servedDrawLimitBitsPerSecond: 512,
  });
  assert.equal(
    PARAMETER_KEYS.map((key) => [PARAMETERS[key].name, PARAMETERS[key].kind, rangeOf(key)]),
    [
      ['entropy-sources', 'next-start', '0 to 15'],
      ['disable-hwrng', 'next-start', 'true or false'],
      ['feed-interval', 'live', '1 to 3600 seconds'],
      ['feed-bytes', 'live', '32 to 4096 bytes in steps of 32'],
      ['credit-cpu-to-kernel', 'live', 'true or false'],
      ['memory-cache-size', 'live', '64 to 65536 KiB'],
      ['memory-cache-low-watermark', 'live', '1 to 99 %'],
      ['storage-cache-size', 'live', '256 to 1048576 KiB'],
      ['external-entropy-lost-timeout', 'live', '1 to 86400 seconds'],
      ['served-draw-limit', 'live', '0 to 8388608 bits/s'],
    ],
  );
});

test('each row is whole: default in range, a name of its own in kebab case, one sentence', () => {
  assert.equal(parseConfiguration(DEFAULT_CONFIGURATION), DEFAULT_CONFIGURATION);
  for (const key of PARAMETER_KEYS) {
    assert.match(PARAMETERS[key].name, /^[a-z]+(-[a-z]+)*$/);
    assert.match(PARAMETERS[key].description, /^[A-Z].*\.$/);
    assert.is(parameterKeyNamed(PARAMETERS[key].name), key);
  }
  assert.is(parameterKeyNamed('feedBytes'), undefined);
});

test('what is taken is exactly what the schema of the row takes', () => {
  for (const key of PARAMETER_KEYS) {
    for (const value of candidates(key)) {
      const taken = refusal(() => parseConfiguration({ [key]: value })) === 'taken';
      assert.is(taken, Value.Check(PARAMETERS[key].schema, value), `${key} = ${String(value)}`);
      assert.is(taken && Value.Check(ConfigurationSchema, { ...DEFAULT_CONFIGURATION, [key]: value }), taken);
      const changed = refusal(() => parseChange({ [key]: value })) === 'taken';
      assert.is(changed, taken || value === null);
      assert.is(
        changed,
        Value.Check(ConfigurationChangeSchema, { [key]: value }),
        `change ${key} = ${String(value)}`,
      );
    }
  }
});

test('a refusal names key, value and range', () => {
  assert.is(
    refusal(() => parseConfiguration({ feedBytes: 65 })),
    'parameter-invalid: feedBytes = 65 is refused: it takes 32 to 4096 bytes in steps of 32',
  );
  assert.is(
    refusal(() => parseConfiguration({ disableHwrng: 'yes' })),
    'parameter-invalid: disableHwrng = "yes" is refused: it takes true or false',
  );
  assert.is(
    refusal(() => parseConfiguration({ feedByte: 64 })),
    'parameter-unknown: there is no parameter "feedByte"',
  );
});

test('a hostile value or key is shown in one bounded line of printable ASCII', () => {
  const hostile = `\x1b[2J\n"é${'x'.repeat(10_000)}`;
  for (const input of [
    { feedBytes: hostile },
    { [hostile]: 1 },
    { feedBytes: [hostile] },
    { feedBytes: { a: hostile } },
  ]) {
    assert.match(
      refusal(() => parseConfiguration(input)),
      /^[\x20-\x7e]{1,150}…?[\x20-\x7e]{0,60}$/,
    );
  }
});

test('what is not an object is refused, and names of Object are no parameters', () => {
  for (const input of [null, undefined, 1, 'entropySources', [], [1]]) {
    assert.match(
      refusal(() => parseConfiguration(input)),
      /^parameter-invalid/,
    );
  }
  for (const name of ['constructor', 'toString', '__proto__']) {
    assert.not(isParameterKey(name));
    assert.match(
      refusal(() => parseConfiguration(JSON.parse(`{"${name}":1}`))),
      /^parameter-unknown/,
    );
  }
});

test('text, as in a flag, is whole decimal numbers and true or false', () => {
  assert.is(parseParameterText('entropySources', '12'), 12);
  assert.is(parseParameterText('disableHwrng', 'true'), true);
  assert.is(parseParameterText('disableHwrng', 'false'), false);
  for (const text of ['', ' 1', '1 ', '-1', '+1', '0x1', '1e1', '1.0', '16', 'true', '9'.repeat(40)]) {
    assert.match(
      refusal(() => parseParameterText('entropySources', text)),
      /^parameter-invalid/,
      text,
    );
  }
  for (const text of ['', 'TRUE', 'yes', '1', '0']) {
    assert.match(
      refusal(() => parseParameterText('disableHwrng', text)),
      /^parameter-invalid/,
      text,
    );
  }
});

test('flag wins over file over store over default, each key for itself', () => {
  const { values, origins } = resolveConfiguration({
    flags: { entropySources: 4 },
    file: { entropySources: 2, feedBytes: 96 },
    store: { entropySources: 1, feedBytes: 128, disableHwrng: true },
  });
  assert.equal([values.entropySources, origins.entropySources], [4, 'flag']);
  assert.equal([values.feedBytes, origins.feedBytes], [96, 'file']);
  assert.equal([values.disableHwrng, origins.disableHwrng], [true, 'store']);
  assert.equal([values.feedIntervalSeconds, origins.feedIntervalSeconds], [10, 'default']);
});

test('false and 0 are values like any other: they too win', () => {
  const layers = {
    flags: { disableHwrng: false, entropySources: 0 },
    file: {},
    store: { disableHwrng: true, entropySources: 8 },
  };
  const { values } = resolveConfiguration(layers);
  assert.equal([values.disableHwrng, values.entropySources], [false, 0]);
});

test('anything at all is parsed or refused with one of the two codes, and what is parsed resolves', () => {
  const keys = fc.oneof(fc.constantFrom(...PARAMETER_KEYS), fc.string());
  fc.assert(
    fc.property(fc.dictionary(keys, fc.oneof(fc.integer(), fc.boolean(), fc.anything())), (input) => {
      const refused = refusal(() => parseConfiguration(input));
      if (refused !== 'taken') return /^parameter-(invalid|unknown): /.test(refused);
      const { values } = resolveConfiguration({ flags: {}, file: {}, store: parseConfiguration(input) });
      return Value.Check(ConfigurationSchema, values);
    }),
    { numRuns: count(500, 20_000) },
  );
});

test('a change that changes nothing is refused: it would only push out the archive kept before', () => {
  assert.throws(() => parseChange({}), /at least one/);
});

test.run();
