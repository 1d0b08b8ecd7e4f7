import { EntropyError, EXIT } from '../base/errors.ts';
import { SECURE_BOOT_PCR } from '../base/names.ts';
import { ENCRYPTION_MODES, type EncryptionChange, type SealCheck } from '../contract/encryption.ts';
import { ROUTES } from '../contract/routes.ts';
import { numberOf, optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
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
  const report = await client.call(ROUTES.checkSeal);
  const { mode, opens, because, pcrs, secureBoot, signer, suspendedBoots } = report;
  const row = {
    mode,
    opens,
    because,
    pcrs: pcrs.join(', '),
    secureBoot,
    signer,
    suspension: suspensionText(suspendedBoots),
    secureBootKeys: keysText(report),
  };
  const answer = { ...succeeded(invocation, row), exit: opens ? EXIT.ok : EXIT.stateRefused };
  const willBeRefused =
    report.secureBootKeys === 'changed' && pcrs.includes(SECURE_BOOT_PCR) && (suspendedBoots ?? 0) === 0;
  return willBeRefused && opens ? { ...answer, exit: EXIT.degraded, note: WILL_DIFFER } : answer;
}

const WILL_DIFFER =
  'PCR 7 will differ at the next boot, and the configuration not open by it. Before the restart: entropyctl mixer seal suspend --boots 1';

function suspensionText(boots: number | null): string | null {
  if (boots === null) return null;
  return boots === 0 ? 'for this boot alone' : `for ${boots} more ${boots === 1 ? 'boot' : 'boots'}`;
}

function keysText({ secureBootKeys, keysComparedWith }: SealCheck): string {
  const since = { boot: ' since boot', start: ' since the daemon started', '': '' };
  return `${secureBootKeys}${since[keysComparedWith]}`;
}

/** Prints nothing; what is open meanwhile is said on the other stream. */
export async function suspendSeal(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const { suspendedBoots } = await client.call(ROUTES.suspendSeal, {
    body: { boots: numberOf(invocation, 'boots') },
  });
  const note =
    suspendedBoots === null
      ? 'the seal is not suspended: the configuration opens by its PCRs alone.'
      : `the seal is suspended, ${suspensionText(suspendedBoots) ?? ''}: whoever starts this host in another way opens the configuration meanwhile. The TPM ends it; each start of the host counts. Have the recovery key at hand.`;
  return { output: null, note, exit: EXIT.ok };
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
