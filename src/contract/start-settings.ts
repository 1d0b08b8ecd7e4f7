import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { EntropyError, errnoOf, messageOf } from '../base/errors.ts';
import { KIB } from '../base/units.ts';

/**
 * What a daemon has to know before it can open its state: paths, the listener, TLS. Given as flags or in a file, never stored.
 * Everything else is a parameter.
 */

export const CONFIGURATION_FILE = '/etc/entropy-mixer/entropyd.conf';
export const DEFAULT_LISTEN = '127.0.0.1:8740';

interface StartSettingEntry {
  /** What stands for the value, for people. */
  readonly takes: string;
  readonly description: string;
}

/** By the names that they have in the file and as flags. */
export const START_SETTINGS = {
  'state-dir': { takes: 'a directory', description: 'Configuration archive, feed ledger and caches.' },
  'runtime-dir': { takes: 'a directory', description: 'Control and EGD socket.' },
  listen: { takes: 'HOST:PORT', description: 'Where feeders of external entropy connect.' },
  'tls-cert': { takes: 'a file', description: 'Certificate of the listener with its issuers, in PEM.' },
  'tls-key': { takes: 'a file', description: 'Its key, in PEM, mode 0600.' },
  'tls-client-ca': {
    takes: 'a file',
    description: 'Authorities that clients need a certificate of, in PEM.',
  },
} as const satisfies Record<string, StartSettingEntry>;

export type StartSettingName = keyof typeof START_SETTINGS;
export type StartSettings = Readonly<Partial<Record<StartSettingName, string>>>;
export const START_SETTING_NAMES = Object.keys(START_SETTINGS) as StartSettingName[];

export type StartSettingOrigin = 'flag' | 'file' | 'default';

/** One of them as a daemon runs with it; empty when it has none. */
export interface StartSettingReport {
  readonly name: string;
  readonly takes: string;
  readonly description: string;
  readonly value: string;
  readonly default: string;
  readonly origin: StartSettingOrigin;
}

/** Flag before file before default, and where each came from. */
export function startSettingReports(
  flags: StartSettings,
  file: StartSettings,
  defaults: StartSettings,
): StartSettingReport[] {
  return START_SETTING_NAMES.map((name) => ({
    name,
    ...START_SETTINGS[name],
    value: flags[name] ?? file[name] ?? defaults[name] ?? '',
    default: defaults[name] ?? '',
    origin: flags[name] !== undefined ? 'flag' : file[name] !== undefined ? 'file' : 'default',
  }));
}

const MAXIMUM_FILE_BYTES = 64 * KIB;
const WRITABLE_BY_OTHERS = constants.S_IWGRP | constants.S_IWOTH;

/**
 * The settings of a file; undefined when there is none. Whoever can write it chooses where the daemon keeps its state and where its
 * programs connect, so it must be root's or the user's own, and writable by the owner alone.
 *
 * @throws EntropyError config-file-refused, config-file-invalid
 */
export function readStartSettings(file: string, uid: number): StartSettings | undefined {
  const text = contentOf(file, uid);
  return text === undefined ? undefined : parseStartSettings(text, file);
}

function contentOf(file: string, uid: number): string | undefined {
  let descriptor: number | undefined;
  try {
    // Not waiting for a writer, should it be a pipe.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw refused(`${file} is no regular file`);
    if (status.size > MAXIMUM_FILE_BYTES) throw refused(`${file} is over ${MAXIMUM_FILE_BYTES} bytes`);
    if (status.uid !== 0 && status.uid !== uid) throw refused(`${file} belongs to uid ${status.uid}`);
    if ((status.mode & WRITABLE_BY_OTHERS) !== 0)
      throw refused(`${file} can be written by others than its owner`);
    return readFileSync(descriptor, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (error instanceof EntropyError) throw error;
    throw refused(`${file} cannot be read (${errnoOf(error) ?? messageOf(error)})`, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * `name = value`, one a line; `#` begins a comment where a line begins. A value is the rest of its line without the spaces around it.
 *
 * @param place for the error: the name of the file
 * @throws EntropyError config-file-invalid
 */
export function parseStartSettings(text: string, place: string): StartSettings {
  const found = new Map<StartSettingName, string>();
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const [name, value] = settingOf(content, `${place}, line ${index + 1}`);
    if (found.has(name)) throw invalid(`${place}, line ${index + 1}: ${name} is given twice`);
    found.set(name, value);
  }
  return Object.fromEntries(found);
}

const MAXIMUM_VALUE_CHARACTERS = 4096;

function settingOf(line: string, place: string): [StartSettingName, string] {
  const found = /^([A-Za-z-]{1,64})\s*=\s*(.*)$/.exec(line);
  if (found === null) throw invalid(`${place}: not of the form name = value`);
  const [, name = '', value = ''] = found;
  if (!isStartSetting(name)) {
    throw invalid(
      `${place}: ${name} does not belong here, only ${START_SETTING_NAMES.join(', ')} do; parameters are changed with entropyctl mixer config apply`,
    );
  }
  if (value === '') throw invalid(`${place}: ${name} has no value; it takes ${START_SETTINGS[name].takes}`);
  if (value.length > MAXIMUM_VALUE_CHARACTERS || /[^\x20-\x7e\u00a0-\uffff]/.test(value))
    throw invalid(`${place}: ${name} takes ${START_SETTINGS[name].takes}, printable`);
  return [name, value];
}

function isStartSetting(name: string): name is StartSettingName {
  return Object.hasOwn(START_SETTINGS, name);
}

function refused(detail: string, cause?: unknown): EntropyError {
  return new EntropyError('config-file-refused', detail, { cause });
}

function invalid(detail: string): EntropyError {
  return new EntropyError('config-file-invalid', detail);
}
