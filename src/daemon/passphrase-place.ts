import { existsSync } from 'node:fs';
import path from 'node:path';
import { readSecretFile } from '../base/secret-file.ts';
import type { Environment } from '../contract/directories.ts';
import { MAXIMUM_PASSPHRASE_FILE_BYTES } from '../contract/passphrase.ts';
import { passphraseOf } from '../state/passphrase.ts';

/** A file that holds a passphrase. */
export interface PassphrasePlace {
  readonly path: string;
  /** Of systemd: in a directory that the service alone may enter, but readable by a group where it uses access lists. */
  readonly isCredential: boolean;
}

/** The name of a systemd credential (systemd.exec(5), LoadCredentialEncrypted=), used when no file is named. */
export const PASSPHRASE_CREDENTIAL = 'entropy-mixer.passphrase';

/** The file that was named, else the credential where there is one. */
export function passphrasePlace(
  file: string | undefined,
  environment: Environment,
): PassphrasePlace | undefined {
  if (file !== undefined) return { path: file, isCredential: false };
  const directory = environment.CREDENTIALS_DIRECTORY;
  if (directory === undefined || directory === '') return undefined;
  const credential = path.join(directory, PASSPHRASE_CREDENTIAL);
  return existsSync(credential) ? { path: credential, isCredential: true } : undefined;
}

/** The passphrase: the caller's to wipe. @throws EntropyError passphrase-unreadable, key-file-exposed, passphrase-refused */
export function readPassphrase({ path: file, isCredential }: PassphrasePlace): Buffer {
  return passphraseOf(
    readSecretFile(file, MAXIMUM_PASSPHRASE_FILE_BYTES, 'passphrase-unreadable', {
      mayGroupRead: isCredential,
    }),
  );
}
