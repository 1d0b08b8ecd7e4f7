import { EntropyError, isEntropyError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import type { ZeroizeReport } from '../contract/zeroize.ts';
import { DirectoryLock } from '../durable/directory-lock.ts';
import { NodeFiles } from '../durable/node-files.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { Bootbank } from '../state/bootbank.ts';
import { offlineEncryption, type EncryptionOptions } from './state-encryption.ts';
import { requireHostName, zeroizeState } from './zeroize-state.ts';

export const ZEROIZE_HELP = `Usage: entropyd zeroize --yes-destroy HOSTNAME [options]

Destroys the state: both archives with keys and sealed object, escrow file, caches with the install seed, ledger and counters, and the NV
index that marks it in the TPM. It cannot be undone, and no recovery key helps. The daemon must not run; while it runs:
entropyctl mixer zeroize --yes-destroy HOSTNAME. It may run again, for what failed the first time.

The files are overwritten once. Flash, snapshots and copy-on-write file systems may keep old bytes, and copies of the disk keep all: a sealed
copy from before opens on this TPM until the TPM is cleared (\`tpm2_clear\`).

Options:
  --yes-destroy=HOSTNAME     The name of this host, as \`hostname\` prints it.
  --state-dir=DIR and what else says where the state and its TPM are: as for entropyd.

Afterwards no daemon starts on the directory until the file ZEROIZED is removed from it.
`;

/** Splits a command line into the name that confirms it, and what says where the state is. Throws `usage`. */
export function parseZeroize(argv: readonly string[]): { readonly host: string; readonly rest: string[] } {
  const rest = [...argv];
  if (rest.includes('--help') || rest.includes('-h')) return { host: '', rest };
  const at = rest.findIndex((word) => word === OPTION || word.startsWith(`${OPTION}=`));
  const [word, next] = at < 0 ? [undefined, undefined] : rest.slice(at, at + 2);
  const host = word === OPTION ? next : word?.slice(OPTION.length + 1);
  if (host === undefined || host === '')
    throw new EntropyError('usage', '--yes-destroy HOSTNAME is missing: the name of the host that is meant');
  rest.splice(at, word === OPTION ? 2 : 1);
  return { host, rest };
}

const OPTION = '--yes-destroy';

/** Destroys under the lock of the directory. Throws `zeroize-unconfirmed`, `state-in-use`. */
export async function zeroizeOffline(
  host: string,
  options: { readonly stateDirectory: string; readonly encryption: EncryptionOptions },
  dependencies: { readonly hardware: Hardware; readonly installation: { readonly root: string } },
): Promise<ZeroizeReport> {
  requireHostName(host);
  const { stateDirectory: directory, encryption } = options;
  const { hardware } = dependencies;
  const files = await NodeFiles.open({ root: directory });
  const lock = await DirectoryLock.take({ directory }, { lockFile: (fd) => hardware.lockFile(fd) });
  try {
    const random: RandomSource = (target) => hardware.random(target);
    const { root } = dependencies.installation;
    const modes = offlineEncryption({ ...encryption, stateDirectory: directory }, { random, root });
    const isSealed = await isSealedOnDisk(new Bootbank({ files }));
    return await zeroizeState({ directory, isSealed, openTpm: modes.tpmOf({ isSealed }) });
  } finally {
    await lock.release();
  }
}

/** One row a part. */
export function zeroizeText({ parts }: ZeroizeReport): string {
  return parts
    .map(
      ({ part, outcome, because }) =>
        `${outcome.padEnd(9)}  ${part}${because === '' ? '' : `: ${because}`}\n`,
    )
    .join('');
}

/** Either archive is enough; one that cannot be read says nothing. */
async function isSealedOnDisk(bootbank: Bootbank): Promise<boolean> {
  for (const load of [() => bootbank.load(), () => bootbank.loadPrevious()]) {
    try {
      if ((await load())?.info.mode === 'TPM') return true;
    } catch (error) {
      if (!isEntropyError(error)) throw error;
    }
  }
  return false;
}
