import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { wipe } from '../base/bytes.ts';
import { SystemClock } from '../base/clock.ts';
import { Counters } from '../base/counters.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import { openHardware } from '../hardware/open-hardware.ts';
import {
  assertNew,
  DEFAULT_SEED_RATE_UNITS,
  install,
  planInstall,
  type Installed,
} from '../install/install.ts';
import type { Kickstart } from '../install/kickstart.ts';
import { readKickstartFile, type KickstartFile } from '../install/kickstart-file.ts';
import { sourcesIn } from '../policy/source-mask.ts';
import { ARCHIVE_PATH } from '../state/bootbank.ts';
import { ConfigStore } from '../state/config-store.ts';
import type { InstallSeedRecord } from '../state/install-record.ts';
import { withDoorTests } from './door-tests.ts';
import { leaveModeToFirstStart } from './first-mode.ts';
import { INSTALL_FILE } from './install-file.ts';
import { Installation as InstalledFiles } from '../state/installation.ts';
import { PASSPHRASE_CREDENTIAL, readPassphrase, type PassphrasePlace } from './passphrase-place.ts';
import { WITHOUT_SEALING } from './state-encryption.ts';
import { openStore } from './state-directory.ts';

export interface InstallCommand {
  readonly kickstart: string;
  readonly stateDirectory: string;
  /** Credit of the seed's bytes, in 1/1024 bit. */
  readonly rateUnits: number;
  readonly dryRun: boolean;
  /** Joined into the archive of the new state. */
  readonly passphrase: PassphrasePlace | undefined;
}

const MAXIMUM_RATE_UNITS = 8192;
/** Nobody listens yet. */
const SILENT: EventSink = { emit: () => undefined };

export interface InstallDefaults {
  /** The daemon's, with the configuration file that is named, or the one that is there. */
  readonly stateDirectory: (config: string | undefined) => string;
  /** The file that is named, or the credential that is there. */
  readonly passphrase: (file: string | undefined) => PassphrasePlace | undefined;
}

/** The words behind `entropyd install`; undefined when they ask for help. @throws EntropyError usage, config-file-* */
export function parseInstallCommand(
  argv: readonly string[],
  defaults: InstallDefaults,
): InstallCommand | undefined {
  const values = parsed(argv);
  if (values.help === true) return undefined;
  const { kickstart } = values;
  if (kickstart === undefined || kickstart === '')
    throw new EntropyError('usage', '--kickstart is missing: the file to install from');
  const rate = values['seed-rate'];
  return {
    kickstart,
    stateDirectory: values['state-dir'] ?? defaults.stateDirectory(values.config),
    rateUnits: rate === undefined ? DEFAULT_SEED_RATE_UNITS : unitsOf(rate),
    dryRun: values['dry-run'] === true,
    passphrase: defaults.passphrase(values['passphrase-file']),
  };
}

export function installHelpText(): string {
  return `Usage: entropyd install --kickstart FILE [options]

Installs a new state from a kickstart as VMware ESXi takes it: the line \`entropy --sources=N --data=BASE64\` sets the source mask and
the install seed, which is used first and never again. Other commands and scripts are passed over. The daemon must not run on this
state, and the state must be new: no feeder, no seed, no changed parameter. A daemon that starts on a new state as root applies
${INSTALL_FILE} by itself, once.

Options:
  --kickstart=FILE
        The kickstart. Delete it afterwards: it holds the seed.
  --dry-run
        Check everything and write nothing.
  --state-dir=DIR
        As for the daemon, and with its defaults.
  --config=FILE|none
        The daemon's configuration file, for the state directory that it names.
  --seed-rate=BITS
        What a byte of the seed is worth, from 1/1024 to 8 bits. Default 1: a seed that stands in an image is shared by all hosts made
        from it. Claim more only for a seed that a certified device made for this host alone.
  --passphrase-file=FILE
        A passphrase for the daemon's mode NONE, as its own option takes it: the state is protected by it from its first write on, and each
        start needs it. Without the option: the systemd credential ${PASSPHRASE_CREDENTIAL}, if there is one.
  --help
`;
}

/** Runs it; gives what there is to say. @throws EntropyError as install, and state-in-use, input-failed */
export async function runInstall(command: InstallCommand, installationRoot: string): Promise<string> {
  const file = readKickstartFile({ path: command.kickstart });
  if (file === undefined) throw new EntropyError('input-failed', `there is no file ${command.kickstart}`);
  const dryRun = command.dryRun || file.kickstart.dryRun;
  try {
    // Before anything is made for a state that then cannot be protected.
    if (command.passphrase !== undefined) wipe(readPassphrase(command.passphrase));
    const installed = await installOrCheck(
      { ...command, dryRun },
      file.kickstart,
      path.join(installationRoot, 'build'),
    );
    return report(command, file, installed, dryRun);
  } finally {
    file.kickstart.entropy?.seed?.fill(0);
  }
}

async function installOrCheck(
  command: InstallCommand,
  kickstart: Kickstart,
  built: string,
): Promise<Installed> {
  const { dryRun, rateUnits, passphrase } = command;
  const isNew = !existsSync(path.join(command.stateDirectory, ARCHIVE_PATH));
  const clock = new SystemClock();
  return withDoorTests({ moduleDirectory: built }, async (test) => {
    // What is not there is new, and a dry run does not make it.
    if (dryRun && !existsSync(command.stateDirectory))
      return planInstall(kickstart, { rateUnits }, { clock, test });
    const hardware = openHardware({ addonPath: path.join(built, 'native', 'addon.node') });
    const random: RandomSource = (target) => hardware.random(target);
    const closers: (() => Promise<void>)[] = [];
    try {
      const onStop = (close: () => Promise<void>): void => void closers.push(close);
      const store = await openStore(
        {
          directory: command.stateDirectory,
          // With a passphrase a new archive is written when it is opened, and a dry run writes nothing.
          encryption: { ...WITHOUT_SEALING, passphrase: dryRun && isNew ? undefined : passphrase },
        },
        {
          hardware,
          random,
          clock,
          events: SILENT,
          installation: new InstalledFiles({ root: path.dirname(built) }),
          onStop,
        },
      );
      const config = ConfigStore.open({ flags: {}, file: {} }, store);
      const parts = { ...store, config, random, clock, events: SILENT, counters: new Counters(), test };
      if (!dryRun) {
        await leaveModeToFirstStart(store.archive);
        return await install(kickstart, { rateUnits }, parts);
      }
      assertNew(parts);
      return planInstall(kickstart, { rateUnits }, parts);
    } finally {
      for (const close of closers.reverse()) await close();
    }
  });
}

/** What was done, for people. */
function report(
  command: InstallCommand,
  { kickstart, readableByOthers }: KickstartFile,
  { record, warnings }: Installed,
  dryRun: boolean,
): string {
  const { sources, seed } = record;
  const warned = [
    ...warnings,
    ...(seed !== null && readableByOthers
      ? [`others than its owner can read ${command.kickstart}: whoever did knows the seed`]
      : []),
    ...(seed !== null && !dryRun ? [`delete ${command.kickstart}: it holds the seed`] : []),
  ];
  const lines = [
    dryRun ? 'Nothing was written (dry run). It would be:' : `Installed ${command.stateDirectory}:`,
    `  entropySources  ${sources === null ? 'default' : maskText(sources)}`,
    `  install seed    ${seed === null ? 'none' : seedText(seed)}`,
    ...(kickstart.entropy === undefined ? ['  (no line of the kickstart begins with `entropy`)'] : []),
    ...warned.map((warning) => `warning: ${warning}`),
    ...kickstart.notRun.map(
      ({ line, section, command: call }) => `not run: line ${line}, ${section}: ${call}`,
    ),
    ...(kickstart.notRun.length > 0
      ? ['Run what this host needs with `entropyctl` once the daemon runs.']
      : []),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function maskText(mask: number): string {
  return mask === 0 ? '0 (default)' : `${mask} (${sourcesIn(mask).join(', ')})`;
}

function seedText({ bytes, rateUnits, fingerprint }: InstallSeedRecord): string {
  const bitsPerByte = rateUnits / CREDIT_UNITS_PER_BIT;
  return `${bytes} bytes at ${bitsPerByte} bit per byte, worth ${Math.floor(bytes * bitsPerByte)} bits; fingerprint ${fingerprint}`;
}

/** What stands in a file or a path must not drive the terminal. */
function printable(text: string): string {
  return text.replace(/[^\P{C}]/gu, '?');
}

/** As the store counts: rounded down, so that no rounding raises a credit. */
function unitsOf(text: string): number {
  const bits = /^[0-9]{1,2}(?:\.[0-9]{1,10})?$/.test(text) ? Number(text) : NaN;
  const units = Math.floor(bits * CREDIT_UNITS_PER_BIT);
  if (units >= 1 && units <= MAXIMUM_RATE_UNITS) return units;
  throw new EntropyError('usage', '--seed-rate takes a number of bits, 1/1024 (0.0009765625) to 8');
}

type Values = Readonly<{
  kickstart?: string;
  'passphrase-file'?: string;
  'state-dir'?: string;
  config?: string;
  'seed-rate'?: string;
  'dry-run'?: boolean;
  help?: boolean;
}>;

function parsed(argv: readonly string[]): Values {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean' } as const;
  const options = {
    kickstart: string,
    'state-dir': string,
    config: string,
    'seed-rate': string,
    'passphrase-file': string,
    'dry-run': boolean,
    help: { ...boolean, short: 'h' },
  } as const;
  try {
    return parseArgs({ args: [...argv], strict: true, allowPositionals: false, options }).values;
  } catch (error) {
    throw new EntropyError('usage', messageOf(error), { cause: error });
  }
}
