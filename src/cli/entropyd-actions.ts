import { EntropyError } from '../base/errors.ts';
import { ENTROPYD_KEYS, RESET_ALL } from '../contract/entropyd-commands.ts';
import type { ConfigurationReport } from '../contract/outputs.ts';
import { PARAMETERS } from '../contract/parameters.ts';
import { ROUTES } from '../contract/routes.ts';
import { optionalNumberOf, optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import type { FlatRow } from './formatters/output.ts';

/** The four cache parameters, configured or by default. Throws `answer-invalid` when the daemon knows others. */
export async function entropydSettings(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const { parameters } = await client.call(ROUTES.configuration);
  const asked = invocation.options.get('default-values') === true ? 'default' : 'configured';
  return succeeded(invocation, settingsRow(parameters, asked));
}

function settingsRow(
  parameters: ConfigurationReport['parameters'],
  asked: 'default' | 'configured',
): FlatRow {
  const cells = ENTROPYD_KEYS.map((key): [string, number] => {
    const value = parameters.find(({ name }) => name === key)?.[asked];
    if (typeof value === 'number') return [key, value];
    throw new EntropyError('answer-invalid', `the daemon tells no value of ${key}`);
  });
  return Object.fromEntries(cells);
}

/**
 * What `set` changes: a value, or null for the default, for each key that is named. Throws `usage` when nothing is named, or one parameter
 * twice.
 */
export function changeOf(invocation: Invocation): Record<string, number | null> {
  const reset = optionalTextOf(invocation, 'reset');
  const change: Record<string, number | null> = {};
  for (const key of ENTROPYD_KEYS) {
    const { name } = PARAMETERS[key];
    const value = optionalNumberOf(invocation, name);
    const isReset = reset === RESET_ALL || reset === name;
    if (isReset && value !== undefined)
      throw new EntropyError('usage', `--${name} gives a value and --reset takes it back`);
    if (isReset) change[key] = null;
    else if (value !== undefined) change[key] = value;
  }
  if (Object.keys(change).length === 0)
    throw new EntropyError('usage', 'name a parameter to set, or --reset');
  return change;
}
