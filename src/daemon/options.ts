import { parseArgs } from 'node:util';
import { EntropyError, messageOf } from '../base/errors.ts';
import { DEFAULT_VENDOR_POLICY, VENDOR_POLICY_NAMES } from '../state/tpm-vendor-policy.ts';
import { DEFAULT_TPM, type EncryptionOptions } from './state-encryption.ts';
import { EFI_VARIABLES } from '../hardware/secure-boot.ts';
import { passphrasePlace } from './passphrase-place.ts';
import { type Environment, runtimeDirectory, stateDirectory } from '../contract/directories.ts';
import { PARAMETERS, type PartialConfiguration } from '../contract/parameters.ts';
import {
  CONFIGURATION_FILE,
  DEFAULT_LISTEN,
  START_SETTING_NAMES,
  startSettingReports,
  type StartSettingReport,
  type StartSettings,
} from '../contract/start-settings.ts';
import { helpText } from './help-text.ts';
import { installHelpText, parseInstallCommand, type InstallCommand } from './install-command.ts';
import { INSTALL_FILE } from './install-file.ts';
import { PARAMETER_FLAGS, parameterFlags } from './parameter-flags.ts';

export interface DaemonOptions {
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  /** Where feeders connect: HOST:PORT. */
  readonly listen: string;
  /** Undefined: no TLS, and so on the loopback only. */
  readonly tls: TlsOptions | undefined;
  /** The kickstart that is applied at the first start, when it is there; undefined: none is looked for. */
  readonly installFile: string | undefined;
  readonly encryption: EncryptionOptions;
  /** Parameters given as flags: they win over the store. */
  readonly flags: PartialConfiguration;
  readonly logFormat: 'text' | 'json';
  readonly logLevel: LogLevel;
  /** Forces a build of the mixer module, for support; the best one otherwise. */
  readonly mixerBuild: 'simd' | 'scalar' | 'debug' | undefined;
  /** Paths and listener once more, each with its origin, for who asks. */
  readonly startSettings: readonly StartSettingReport[];
}

export interface TlsOptions {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Undefined: clients show no certificate. */
  readonly clientAuthoritiesFile: string | undefined;
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: 'run'; readonly options: DaemonOptions }
  | { readonly kind: 'install'; readonly command: InstallCommand }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' };

/** Gives the settings of a configuration file; undefined when there is none. */
export type ReadStartSettings = (file: string) => StartSettings | undefined;

/**
 * @throws EntropyError usage, parameter-invalid, config-file-invalid, config-file-refused
 */
export function parseCommandLine(
  argv: readonly string[],
  environment: Environment,
  uid: number,
  readFile: ReadStartSettings,
): Invocation {
  if (argv[0] === 'install') {
    const command = parseInstallCommand(argv.slice(1), {
      stateDirectory: (config) =>
        fileSettings(config === undefined ? {} : { config }, readFile)['state-dir'] ??
        stateDirectory(environment, uid),
      passphrase: (file) => passphrasePlace(file, environment),
    });
    return command === undefined ? { kind: 'help', text: installHelpText() } : { kind: 'install', command };
  }
  const flags = parsed(argv);
  if (flags.help === true) return { kind: 'help', text: helpText() };
  if (flags.version === true) return { kind: 'version' };
  const file = fileSettings(flags, readFile);
  const values: Values = { ...file, ...flags };
  const defaults = {
    'state-dir': stateDirectory(environment, uid),
    'runtime-dir': runtimeDirectory(environment, uid),
    listen: DEFAULT_LISTEN,
  };
  return {
    kind: 'run',
    options: {
      stateDirectory: text(values['state-dir'], defaults['state-dir']),
      runtimeDirectory: text(values['runtime-dir'], defaults['runtime-dir']),
      listen: text(values.listen, defaults.listen),
      tls: tlsOptions(values),
      installFile: installFile(values, uid),
      encryption: encryptionOptions(values, environment),
      flags: parameterFlags(values),
      logFormat: oneOf('--log-format', text(values['log-format'], 'text'), ['text', 'json']),
      logLevel: oneOf('--log-level', text(values['log-level'], 'info'), LOG_LEVELS),
      mixerBuild: forcedBuild(environment.ENTROPY_MIXER_WASM),
      startSettings: startSettingReports(settingsOf(flags), file, defaults),
    },
  };
}

/** Nobody but root finds a file in /etc by himself: what stands there speaks for the host. */
function installFile(values: Values, uid: number): string | undefined {
  const given = values['install-kickstart'];
  return given === undefined && uid !== 0 ? undefined : text(given, INSTALL_FILE);
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function parsed(argv: readonly string[]): Values {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        config: string,
        'state-dir': string,
        'runtime-dir': string,
        listen: string,
        'tls-cert': string,
        'tls-key': string,
        'tls-client-ca': string,
        'install-kickstart': string,
        'encryption-mode': string,
        tpm: string,
        'tpm-vendor-policy': string,
        'passphrase-file': string,
        'verify-installation': boolean,
        'efi-variables': string,
        'log-format': string,
        'log-level': string,
        help: { ...boolean, short: 'h' },
        version: boolean,
        ...Object.fromEntries(PARAMETER_FLAGS.map((key) => [PARAMETERS[key].name, string])),
      },
    }).values;
  } catch (error) {
    throw new EntropyError('usage', messageOf(error), { cause: error });
  }
}

/** `--config none` reads none; a file that is named must be there. */
function fileSettings(flags: Values, readFile: ReadStartSettings): StartSettings {
  const named = text(flags.config, CONFIGURATION_FILE);
  if (named === 'none') return {};
  const found = readFile(named);
  if (found === undefined && flags.config !== undefined)
    throw new EntropyError('config-file-refused', `${named} is not there`);
  return found ?? {};
}

function settingsOf(flags: Values): StartSettings {
  const given = START_SETTING_NAMES.flatMap((name) => {
    const value = flags[name];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(given);
}

function tlsOptions(values: Values): TlsOptions | undefined {
  const certificateFile = optionalText(values['tls-cert']);
  const keyFile = optionalText(values['tls-key']);
  const clientAuthoritiesFile = optionalText(values['tls-client-ca']);
  if (certificateFile !== undefined && keyFile !== undefined)
    return { certificateFile, keyFile, clientAuthoritiesFile };
  if (certificateFile === undefined && keyFile === undefined && clientAuthoritiesFile === undefined)
    return undefined;
  throw new EntropyError('usage', '--tls-cert and --tls-key belong together, and --tls-client-ca needs both');
}

/** --efi-variables is for tests and stays out of the help. */
function encryptionOptions(values: Values, environment: Environment): EncryptionOptions {
  return {
    mode: oneOf('--encryption-mode', text(values['encryption-mode'], 'none'), ['none', 'tpm', 'auto']),
    tpm: values.tpm === undefined ? undefined : text(values.tpm, DEFAULT_TPM),
    vendorPolicy: oneOf(
      '--tpm-vendor-policy',
      text(values['tpm-vendor-policy'], DEFAULT_VENDOR_POLICY),
      VENDOR_POLICY_NAMES,
    ),
    passphrase: passphrasePlace(optionalText(values['passphrase-file']), environment),
    verifyInstallation: values['verify-installation'] === true,
    efiVariables:
      values['efi-variables'] === undefined ? undefined : text(values['efi-variables'], EFI_VARIABLES),
  };
}

function forcedBuild(name: string | undefined): DaemonOptions['mixerBuild'] {
  if (name === undefined || name === '') return undefined;
  return oneOf('ENTROPY_MIXER_WASM', name, ['simd', 'scalar', 'debug']);
}

function text(value: string | boolean | undefined, fallback: string): string {
  if (value === undefined || typeof value === 'boolean') return fallback;
  if (value === '') throw new EntropyError('usage', 'an option was given an empty value');
  return value;
}

function optionalText(value: string | boolean | undefined): string | undefined {
  return value === undefined ? undefined : text(value, '');
}

function oneOf<const T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new EntropyError('usage', `${name} takes ${allowed.join(', ')}`);
  return found;
}
