import { hostname } from 'node:os';
import path from 'node:path';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import type { ZeroizePart, ZeroizeReport } from '../contract/zeroize.ts';
import { destroyFiles, leaveMarker } from '../state/zeroize.ts';
import type { Tpm } from '../tpm/tpm.ts';

export interface ZeroizePlace {
  readonly directory: string;
  /** What is on disk is sealed by the TPM: then it must not be passed over that there is none. */
  readonly isSealed: boolean;
  /** Undefined: neither options nor archive speak of a TPM, and none is looked at. */
  readonly openTpm: (() => Promise<Tpm>) | undefined;
}

/** @throws EntropyError zeroize-unconfirmed */
export function requireHostName(given: string): void {
  if (given === hostname()) return;
  throw new EntropyError(
    'zeroize-unconfirmed',
    `this host is ${hostname()}, and ${JSON.stringify(given.slice(0, 64))} is another: nothing was destroyed`,
  );
}

/** Destroys what stands in the directory and its mark in the TPM: as much as can be. It may run again. */
export async function zeroizeState({ directory, isSealed, openTpm }: ZeroizePlace): Promise<ZeroizeReport> {
  // First, so that a crash on the way leaves no directory in which a daemon would begin anew.
  const marker = await leaveMarker(
    directory,
    'The state was destroyed by `mixer zeroize`. Remove this file to let entropyd begin a new one.\n',
  );
  const files = await destroyFiles(directory);
  // The mark goes after the archive: without it one of mode NONE could be put in place.
  const mark = await removeMark(path.resolve(directory), isSealed, openTpm);
  const parts = [...files, mark, ...(marker.outcome === 'failed' ? [marker] : [])];
  return { complete: parts.every(({ outcome }) => outcome !== 'failed'), parts };
}

const NO_TPM = ['tpm-absent', 'tpm-permission', 'tpm-version'] as const;

async function removeMark(
  subject: string,
  isSealed: boolean,
  openTpm: ZeroizePlace['openTpm'],
): Promise<ZeroizePart> {
  const part = 'NV index in the TPM';
  if (openTpm === undefined) return { part, outcome: 'absent', because: 'no TPM is used' };
  try {
    const tpm = await openTpm();
    try {
      const counter = tpm.counter(subject);
      const was = await tpm.withStorageRoot({}, (root) => counter.undefine(root));
      return {
        part: `${part}, 0x${counter.index.toString(16)}`,
        outcome: was ? 'destroyed' : 'absent',
        because: '',
      };
    } finally {
      await tpm.close();
    }
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    const because = `${error.message} (${error.code})`;
    const isNone = !isSealed && NO_TPM.some((code) => code === error.code);
    return { part, outcome: isNone ? 'absent' : 'failed', because };
  }
}
