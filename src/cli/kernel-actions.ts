import { EntropyError } from '../base/errors.ts';
import { FIXED_KERNEL_SETTINGS, KERNEL_SETTINGS } from '../contract/kernel-commands.ts';
import type { ConfigurationReport } from '../contract/outputs.ts';
import { isParameterKey, PARAMETERS, parseParameterText } from '../contract/parameters.ts';
import { ROUTES } from '../contract/routes.ts';
import { optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import type { FlatRow } from './formatters/output.ts';

export async function kernelSettings(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const { parameters } = await client.call(ROUTES.configuration);
  const only = optionalTextOf(invocation, 'option');
  const delta = invocation.options.get('delta') === true;
  const rows = [...parameterRows(parameters), ...FIXED_ROWS].filter(
    ({ name, configured, default: initial }) =>
      (only === undefined || name === only) && !(delta && configured === initial),
  );
  return succeeded(invocation, ...rows);
}

/** The change that `kernel set` asks for. Throws `parameter-invalid`, `parameter-read-only`. */
export function kernelChangeOf(invocation: Invocation): Record<string, number | boolean> {
  const key = optionalTextOf(invocation, 'setting') ?? '';
  const text = optionalTextOf(invocation, 'value') ?? '';
  if (!isParameterKey(key)) {
    throw new EntropyError('parameter-read-only', `${key} can be read, but not set`);
  }
  return { [key]: parseParameterText(key, PARAMETERS[key].type === 'boolean' ? truthText(text) : text) };
}

function parameterRows(parameters: ConfigurationReport['parameters']): FlatRow[] {
  const names: readonly string[] = KERNEL_SETTINGS;
  return parameters
    .filter(({ name }) => names.includes(name))
    .map(({ name, type, description, configured, runtime, default: initial }) => ({
      name,
      type: type === 'boolean' ? 'Bool' : 'uint32',
      description,
      configured: shown(configured),
      runtime: shown(runtime),
      default: shown(initial),
    }));
}

const FIXED_ROWS: readonly FlatRow[] = Object.entries(FIXED_KERNEL_SETTINGS).map(
  ([name, { value, description }]) => ({
    name,
    type: 'Bool',
    description,
    configured: shown(value),
    runtime: shown(value),
    default: shown(value),
  }),
);

/** As esxcli shows them: booleans in capitals. */
function shown(value: number | boolean): string {
  return String(value).toUpperCase();
}

/** esxcli takes true, T and t, and shows TRUE. */
function truthText(text: string): string {
  const lower = text.toLowerCase();
  return lower === 't' ? 'true' : lower === 'f' ? 'false' : lower;
}
