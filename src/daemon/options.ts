import { parseArgs } from 'node:util';
import { EntropyError, messageOf } from '../base/errors.ts';
import { DEFAULT_VENDOR_POLICY, VENDOR_POLICY_NAMES } from '../state/tpm-vendor-policy.ts';
import { DEFAULT_TPM, type EncryptionOptions } from './state-encryption.ts';
import { EFI_VARIABLES } from '../hardware/secure-boot.ts';
import { passphrasePlace, PASSPHRASE_CREDENTIAL } from './passphrase-place.ts';
import { type Environment, runtimeDirectory, stateDirectory } from '../contract/directories.ts';
import {
  type ParameterKey,
  PARAMETERS,
  parseConfiguration,
  parseParameterText,
  type PartialConfiguration,
  rangeOf,
} from '../contract/parameters.ts';
import {
  CONFIGURATION_FILE,
  START_SETTING_NAMES,
  startSettingReports,
  type StartSettingReport,
  type StartSettings,
} from '../contract/start-settings.ts';
import { installHelpText, parseInstallCommand, type InstallCommand } from './install-command.ts';
import { INSTALL_FILE } from './install-file.ts';

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

export const DEFAULT_LISTEN = '127.0.0.1:8740';

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: 'run'; readonly options: DaemonOptions }
  | { readonly kind: 'install'; readonly command: InstallCommand }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' };

/** Parameters that may be given as flags; their names are the table's. */
const PARAMETER_FLAGS = [
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

export function helpText(): string {
  const parameters = PARAMETER_FLAGS.map((key) => {
    const { name, description } = PARAMETERS[key];
    return `  --${name}=<${rangeOf(key)}>\n${indented(`${description} Default ${String(PARAMETERS[key].default)}.`)}`;
  });
  return `Usage: entropyd [options]
       entropyd install --kickstart FILE [options]
       entropyd recover [--help]
       entropyd zeroize --yes-destroy HOSTNAME [--help]

Collects, tests and mixes entropy, and feeds the kernel pool. Stays in the foreground; SIGTERM or SIGINT ends it in order.

Options:
  --config=FILE
        Takes paths, listener and TLS, one \`name = value\` a line, from this file, below the flags. Default
        ${CONFIGURATION_FILE} where there is one; none reads none.
  --state-dir=DIR
        Configuration archive, feed ledger and caches. Default $STATE_DIRECTORY, /var/lib/entropy-mixer for root,
        else $XDG_STATE_HOME/entropy-mixer.
  --runtime-dir=DIR
        Control and EGD socket. Default $RUNTIME_DIRECTORY, /run/entropy-mixer for root, else $XDG_RUNTIME_DIR/entropy-mixer.
  --listen=HOST:PORT
        Where feeders of external entropy connect; without TLS on the loopback only. Default ${DEFAULT_LISTEN}; port 0
        chooses one and writes it to the file address in the runtime directory.
  --tls-cert=FILE, --tls-key=FILE
        Serve TLS 1.3 and 1.2: a certificate with its issuers, and its key without a passphrase (mode 0600), both in PEM.
        SIGHUP reads them again; open connections go on. \`entropyctl mixer tls self-signed\` makes a pair for a lab.
  --tls-client-ca=FILE
        Let in only clients with a certificate of these authorities (PEM).
  --install-kickstart=FILE
        A kickstart that is applied once, when it is there and the state is new. Default for root ${INSTALL_FILE}.
  --encryption-mode=none|tpm|auto
        How the key of a new configuration archive is kept; one that is there keeps its mode. none is obfuscation, not protection, and the
        default. auto is tpm where a TPM can be used, else none, and says which; tpm does not start without. tpm cannot be undone.
  --tpm=PATH
        The TPM: ${DEFAULT_TPM} if nothing is named, or swtpm:SOCKET for a software TPM.
  --tpm-vendor-policy=${VENDOR_POLICY_NAMES.join('|')}
        TPMs that are not used, by manufacturer and model. Default ${DEFAULT_VENDOR_POLICY}.
  --passphrase-file=FILE
        A passphrase, 8 to 1,024 bytes in a file of mode 0600, joined into a new archive of mode NONE, which is protection then; an archive
        that has one opens by it. Without the option: the systemd credential ${PASSPHRASE_CREDENTIAL}, if there is one. An archive that has
        none gets it by \`entropyctl system settings encryption passphrase set\`.
  --verify-installation
        Compares the installed files with the manifest of their build first, and does not start when one was changed.
  --log-format=text|json, --log-level=debug|info|warn|error
  --help, --version

Parameters, which win over the stored configuration:
${parameters.join('\n')}

Environment:
  ENTROPY_MIXER_WASM=simd|scalar|debug forces a build of the mixer module.
`;
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

function parameterFlags(values: Values): PartialConfiguration {
  const given = PARAMETER_FLAGS.flatMap((key) => {
    const value = values[PARAMETERS[key].name];
    return typeof value === 'string' ? [[key, parseParameterText(key, value)] as const] : [];
  });
  return parseConfiguration(Object.fromEntries(given));
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

function indented(paragraph: string): string {
  return `        ${paragraph}`;
}
