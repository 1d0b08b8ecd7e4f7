import { wipe } from '../base/bytes.ts';
import { SystemClock } from '../base/clock.ts';
import { EntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import { DirectoryLock } from '../durable/directory-lock.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { NodeFiles } from '../durable/node-files.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { decodeRecoveryKey, MAXIMUM_RECOVERY_INPUT_BYTES } from '../state/recovery-key.ts';
import { recoverArchive, type Recovered } from '../state/recover-archive.ts';
import type { KeyWrapping } from '../state/root-key.ts';
import { readSecret, type SecretPlace } from './secret-input.ts';

export interface RecoverCommand {
  readonly from: 'current' | 'previous';
  /** Where the recovery key comes from; undefined: the previous archive opens by its mode. */
  readonly key: SecretPlace | undefined;
  /** The mode from now on; undefined: the archive's own. */
  readonly mode: 'NONE' | 'TPM' | undefined;
}

export interface RecoverDependencies {
  readonly hardware: Hardware;
  /** All modes, as the daemon has them for this state directory. */
  readonly wrappings: (random: RandomSource, files: DurableFiles) => Promise<readonly KeyWrapping[]>;
}

export const RECOVER_HELP = `Usage: entropyd recover [options]

Opens the configuration archive by its recovery key when its mode does not (TPM changed, replaced or cleared), and
wraps its key for the present TPM. The daemon must not run: stop it, recover, start it. Nothing is changed unless the
archive opens. Without an option the key is asked for on the terminal; it is never taken from the command line.

Options:
  --recovery-key-file=FILE   Read the key from a file that only its owner may read.
  --recovery-key-fd=N        Read the key from an inherited descriptor.
  --previous                 Put the archive before the current one in its place, when that one is damaged. Feeders are disabled,
                             accounts and tokens gone: they may have been revoked since. Opens by its mode, or
                             by a recovery key that is given.
  --ask                      With --previous: ask for the recovery key on the terminal.
  --passphrase-file=FILE     Where a passphrase was joined into mode NONE: the one to open by from now on.
  --to=none|tpm              Wrap the key by this mode instead of the archive's own, as when there is no TPM any more. none without
                             --passphrase-file gives the protection up.
  --state-dir=DIR and what else says where the archive and its key are: as for entropyd.

Afterwards: restart the host, so that no trace of the key stays in memory, then
  entropyctl system settings encryption recovery rotate
With --previous also: entropyctl mixer feeder enable NAME, for each feeder that is still to be trusted.
`;

/** Splits a command line into what is of `recover`, and what says where the state is. Throws `usage`. */
export function parseRecover(argv: readonly string[]): {
  readonly command: RecoverCommand;
  readonly rest: string[];
} {
  const own = new Map<string, string>();
  const rest: string[] = [];
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [name, value] = splitOnce(word);
    if (FLAGS.includes(name) && value === undefined) own.set(name, '');
    else if (VALUES.includes(name)) own.set(name, value ?? words.shift() ?? '');
    else if (/^[0-9-]{6,}$/.test(word))
      throw new EntropyError(
        'usage',
        'a recovery key does not belong on a command line, which every user can read',
      );
    else rest.push(word);
  }
  const from = own.has('--previous') ? 'previous' : 'current';
  const file = own.get('--recovery-key-file');
  const descriptor = descriptorOf(own.get('--recovery-key-fd'));
  const given = file !== undefined || descriptor !== undefined || own.has('--ask');
  const key = given || from === 'current' ? { file, descriptor } : undefined;
  return { command: { from, key, mode: modeOf(own.get('--to')) }, rest };
}

const FLAGS = ['--previous', '--ask'];
const VALUES = ['--recovery-key-file', '--recovery-key-fd', '--to'];

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf('=');
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

/** Recovers under the lock of the directory. Throws `state-in-use` while a daemon runs, and as `recoverArchive` does. */
export async function recover(
  stateDirectory: string,
  command: RecoverCommand,
  dependencies: RecoverDependencies,
): Promise<Recovered> {
  const { hardware } = dependencies;
  hardware.guardMemory();
  const files = await NodeFiles.open({ root: stateDirectory });
  const lock = await DirectoryLock.take(
    { directory: stateDirectory },
    { lockFile: (fd) => hardware.lockFile(fd) },
  );
  const random: RandomSource = (target) => hardware.random(target);
  let recoverySecret: Buffer | undefined;
  try {
    recoverySecret = await secretOf(command.key);
    return await recoverArchive(
      { from: command.from, mode: command.mode, recoverySecret },
      { files, random, clock: new SystemClock(), wrappings: await dependencies.wrappings(random, files) },
    );
  } finally {
    if (recoverySecret !== undefined) wipe(recoverySecret);
    await lock.release();
  }
}

async function secretOf(place: SecretPlace | undefined): Promise<Buffer | undefined> {
  if (place === undefined) return undefined;
  const text = await readSecret(
    place,
    'Recovery key (16 groups of 6 digits): ',
    MAXIMUM_RECOVERY_INPUT_BYTES,
  );
  try {
    return decodeRecoveryKey(text);
  } finally {
    wipe(text);
  }
}

function descriptorOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,4}$/.test(text)) throw new EntropyError('usage', '--recovery-key-fd takes a descriptor');
  return Number(text);
}

function modeOf(text: string | undefined): RecoverCommand['mode'] {
  if (text === undefined) return undefined;
  if (text === 'none') return 'NONE';
  if (text === 'tpm') return 'TPM';
  throw new EntropyError('usage', '--to takes none or tpm');
}
