import { wipe } from '../base/bytes.ts';
import { EXIT } from '../base/errors.ts';
import { MAXIMUM_PASSPHRASE_FILE_BYTES } from '../contract/passphrase.ts';
import { ROUTES } from '../contract/routes.ts';
import { optionalTextOf, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import { readSecret } from './key-files.ts';

/** Sends the file as it is, and says what the next start needs: whether it has that is asked of the daemon. */
export async function setPassphrase(
  invocation: Invocation,
  { client, workingDirectory }: Surroundings,
): Promise<Answer> {
  const name = optionalTextOf(invocation, 'passphrase-file') ?? '';
  const bytes = readSecret({ workingDirectory, name }, MAXIMUM_PASSPHRASE_FILE_BYTES);
  try {
    await client.call(ROUTES.setPassphrase, { bytes });
  } finally {
    wipe(bytes);
  }
  const { opens, code } = await client.call(ROUTES.checkSeal);
  const next = opens
    ? 'entropyd was started with it and will open by it again.'
    : `entropyd was not started with it (${code}): before the next start give it --passphrase-file FILE, or the systemd credential entropy-mixer.passphrase.`;
  return {
    output: null,
    note: `the configuration opens by this passphrase, and no longer without. ${next} ${NEW_KEY}`,
    exit: EXIT.ok,
  };
}

export async function removePassphrase({ client }: Surroundings): Promise<Answer> {
  await client.call(ROUTES.removePassphrase);
  return {
    output: null,
    note: `WARNING: the configuration is in mode NONE without a passphrase: obfuscation, not protection. Whoever gets the disk reads all of it. Before the next start take --passphrase-file, or the credential, away from entropyd. ${NEW_KEY}`,
    exit: EXIT.ok,
  };
}

const NEW_KEY =
  'The recovery key is new; earlier ones open nothing: entropyctl system settings encryption recovery list';
