import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { errnoOf } from '../base/errors.ts';

/** UEFI Secure Boot as the firmware tells it: `unknown` where there is no UEFI, or where it may not be read. */
export type SecureBoot = 'on' | 'off' | 'unknown';

export const EFI_VARIABLES = '/sys/firmware/efi/efivars';
/** EFI_GLOBAL_VARIABLE (UEFI 2.10, 3.3). */
const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** The kernel puts four bytes of attributes before the value. */
const ATTRIBUTES_BYTES = 4;

/** Reads `SecureBoot`: 1 while signatures are enforced; a platform in setup mode has 0 there. */
export async function readSecureBoot(variables: string = EFI_VARIABLES): Promise<SecureBoot> {
  try {
    const bytes = await readFile(path.join(variables, `SecureBoot-${GLOBAL}`));
    if (bytes.length !== ATTRIBUTES_BYTES + 1) return 'unknown';
    return bytes.readUInt8(ATTRIBUTES_BYTES) === 1 ? 'on' : 'off';
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return 'unknown';
  }
}
