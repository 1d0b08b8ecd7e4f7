import { EntropyError, EXIT } from '../base/errors.ts';
import { ENCRYPTION_MODES, type EncryptionChange } from '../contract/encryption.ts';
import { ROUTES } from '../contract/routes.ts';
import { optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';

/** The three rows that esxcli prints, and whether a passphrase is joined. */
export async function encryption(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const { mode, requireExecInstalledOnly, requireSecureBoot, passphrase } = await client.call(
    ROUTES.encryption,
  );
  return succeeded(invocation, { mode, requireExecInstalledOnly, requireSecureBoot, passphrase });
}

/** Prints nothing, as esxcli does; what is in force from now on is said on the other stream. */
export async function changeEncryption(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const { mode, pcrs } = await client.call(ROUTES.changeEncryption, { body: changeOf(invocation) });
  const note =
    mode === 'TPM'
      ? `the configuration is sealed to ${pcrs.length === 0 ? 'the TPM, and to no PCR' : `PCR ${pcrs.join(', ')}`}. Its recovery key is what opens it when that changes: entropyctl system settings encryption recovery list`
      : 'the configuration stays in mode NONE';
  return { output: null, note, exit: EXIT.ok };
}

export async function checkSeal(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const { mode, opens, because, pcrs, secureBoot, signer } = await client.call(ROUTES.checkSeal);
  return {
    ...succeeded(invocation, { mode, opens, because, pcrs: pcrs.join(', '), secureBoot, signer }),
    exit: opens ? EXIT.ok : EXIT.stateRefused,
  };
}

function changeOf(invocation: Invocation): EncryptionChange {
  const mode = ENCRYPTION_MODES.find((name) => name === optionalTextOf(invocation, 'mode'));
  const requireSecureBoot = truthOf(invocation, 'require-secure-boot');
  const requireExecInstalledOnly = truthOf(invocation, 'require-exec-installed-only');
  const pcrs = pcrsOf(optionalTextOf(invocation, 'pcrs'));
  const change: EncryptionChange = {
    ...(mode !== undefined && { mode }),
    ...(requireSecureBoot !== undefined && { requireSecureBoot }),
    ...(requireExecInstalledOnly !== undefined && { requireExecInstalledOnly }),
    ...(pcrs !== undefined && { pcrs }),
  };
  if (Object.keys(change).length === 0) throw new EntropyError('usage', 'name a setting to change');
  return change;
}

function truthOf(invocation: Invocation, option: string): boolean | undefined {
  const text = optionalTextOf(invocation, option);
  return text === undefined ? undefined : /^t/i.test(text);
}

function pcrsOf(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return [];
  if (!/^[0-9]{1,2}(,[0-9]{1,2})*$/.test(text))
    throw new EntropyError('usage', '--pcrs takes numbers with commas between them, or none');
  return text.split(',').map(Number);
}
