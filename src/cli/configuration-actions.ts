import { open } from 'node:fs/promises';
import path from 'node:path';
import { EntropyError, errnoOf, EXIT, isErrorCode, messageOf } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import { FORMAT_KEY, FORMAT_VERSION } from '../contract/configuration-commands.ts';
import { COMMANDS } from '../contract/commands.ts';
import type { ConfigurationReport, ParameterReport, ParameterValue } from '../contract/outputs.ts';
import { isParameterKey, parseConfiguration, PARAMETER_KEYS } from '../contract/parameters.ts';
import { integer, truth } from '../contract/shape-entry.ts';
import { ROUTES } from '../contract/routes.ts';
import { succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import type { ControlClient } from './control-client.ts';
import { formatJson } from './formatters/json.ts';
import type { FlatRow } from './formatters/output.ts';
import { parameterRow, startSettingRow } from './rows.ts';
import { suggestion } from './suggestion.ts';

export async function listConfiguration(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const { parameters, startSettings } = await client.call(ROUTES.configuration);
  return succeeded(invocation, ...parameters.map(parameterRow), ...startSettings.map(startSettingRow));
}

/** The stored layer alone: what a flag or file of this host overrides is no part of it. */
export async function exportConfiguration({ client }: Surroundings): Promise<Answer> {
  const { parameters } = await readConfiguration(client);
  const { output: document } = COMMANDS.exportConfiguration;
  const fields = parameters.map(({ name, type }) =>
    type === 'boolean' ? truth(name, name) : integer(name, name),
  );
  const values = Object.fromEntries(parameters.map(({ name, stored }) => [name, stored]));
  const output = {
    shape: { ...document, fields: [...document.fields, ...fields] },
    rows: [{ [FORMAT_KEY]: FORMAT_VERSION, ...values }],
  };
  return { output, text: formatJson(output), exit: EXIT.ok };
}

/**
 * Makes the stored values those of the file. Only what differs is sent, as one change; nothing is when nothing differs.
 * Throws `input-failed`, `parameter-unknown`, `parameter-invalid` and what the daemon refuses.
 */
export async function applyConfiguration(
  invocation: Invocation,
  { client, workingDirectory }: Surroundings,
): Promise<Answer> {
  const wanted = await readDocument(path.resolve(workingDirectory, invocation.argument ?? ''));
  const { parameters } = await readConfiguration(client);
  const differing = parameters.filter(
    ({ name, stored }) => Object.hasOwn(wanted, name) && wanted[name] !== stored,
  );
  const rows = differing.map((parameter) => changeRow(parameter, wanted[parameter.name] ?? null));
  const told = { ...succeeded(invocation, ...rows), ...(rows.length === 0 && { text: '' }) };
  if (differing.length === 0) return told;
  if (invocation.options.get('dry-run') === true) return { ...told, exit: EXIT.differs };
  const body = Object.fromEntries(differing.map(({ name }) => [name, wanted[name]]));
  const changed = await client.call(ROUTES.changeConfiguration, { body });
  const note = overriddenNote(changed.parameters, Object.keys(body));
  return { ...told, ...(note !== '' && { note }) };
}

/** Which of the changed values are stored and yet not in force, because a flag or file wins; empty when all are. */
export function overriddenNote(
  parameters: ConfigurationReport['parameters'],
  keys: readonly string[],
): string {
  const overridden = parameters.filter(
    ({ name, origin }) => keys.includes(name) && (origin === 'flag' || origin === 'file'),
  );
  return overridden
    .map(
      ({ name, origin, configured }) =>
        `${name} is stored, but a ${origin} keeps it at ${String(configured)}.`,
    )
    .join('\n');
}

/** Sends a change that is known to be wanted. What is stored and yet not in force is told: a flag or file of the daemon wins. */
export async function changeConfiguration(client: ControlClient, change: object): Promise<Answer> {
  const { parameters } = await client.call(ROUTES.changeConfiguration, { body: change });
  const note = overriddenNote(parameters, Object.keys(change));
  return { output: null, ...(note !== '' && { note }), exit: EXIT.ok };
}

/** Of a store that was refused nothing is known: its defaults must not pass for what is stored. */
async function readConfiguration(client: ControlClient): Promise<ConfigurationReport> {
  const report = await client.call(ROUTES.configuration);
  if (report.refused === '') return report;
  const code = isErrorCode(report.refused) ? report.refused : 'answer-invalid';
  throw new EntropyError(code, 'the stored configuration is refused, so it can be neither read nor changed');
}

function changeRow(parameter: ParameterReport, to: ParameterValue | null): FlatRow {
  const shown = (value: ParameterValue | null): string =>
    value === null ? `default (${String(parameter.default)})` : String(value);
  const { name, takesEffect } = parameterRow(parameter);
  return { name: name ?? '', from: shown(parameter.stored), to: shown(to), takesEffect: takesEffect ?? '' };
}

type Wanted = Readonly<Record<string, ParameterValue | null>>;

async function readDocument(file: string): Promise<Wanted> {
  const text = await readText(file);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new EntropyError('parameter-invalid', `${file} is not JSON: ${messageOf(error)}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw new EntropyError('parameter-invalid', `${file} must hold one object of parameters`);
  const { [FORMAT_KEY]: version = FORMAT_VERSION, ...values } = content as Readonly<Record<string, unknown>>;
  if (version !== FORMAT_VERSION)
    throw new EntropyError(
      'parameter-invalid',
      `${file} has ${FORMAT_KEY} ${JSON.stringify(version)}: this version reads ${FORMAT_VERSION}`,
    );
  return wantedOf(values);
}

function wantedOf(values: Readonly<Record<string, unknown>>): Wanted {
  const unknown = Object.keys(values).find((key) => !isParameterKey(key));
  if (unknown !== undefined) {
    const near = suggestion(unknown, PARAMETER_KEYS);
    throw new EntropyError('parameter-unknown', `there is no parameter ${JSON.stringify(unknown)}${near}`);
  }
  const defaults = Object.entries(values).filter(([, value]) => value === null);
  const others = Object.entries(values).filter(([, value]) => value !== null);
  return { ...(Object.fromEntries(defaults) as Wanted), ...parseConfiguration(Object.fromEntries(others)) };
}

const MAXIMUM_DOCUMENT_BYTES = 64 * KIB;

/** A file or pipe, bounded. */
async function readText(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const chunks: Buffer[] = [];
      let lengthBytes = 0;
      for await (const chunk of handle.createReadStream({ autoClose: false })) {
        const bytes = Buffer.from(chunk as Uint8Array);
        lengthBytes += bytes.length;
        if (lengthBytes > MAXIMUM_DOCUMENT_BYTES)
          throw new EntropyError('input-failed', `${file} is over ${MAXIMUM_DOCUMENT_BYTES} bytes`);
        chunks.push(bytes);
      }
      return Buffer.concat(chunks).toString('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof EntropyError) throw error;
    throw new EntropyError('input-failed', `cannot read ${file} (${errnoOf(error) ?? messageOf(error)})`);
  }
}
