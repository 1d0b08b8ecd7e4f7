import { EntropyError } from '../base/errors.ts';
import type { TpmIdentity } from '../tpm/capabilities.ts';

interface Refusal {
  /** As in the TCG's vendor registry. */
  readonly manufacturer: string;
  /** The model's words begin with it; all models of the manufacturer without. */
  readonly modelPrefix?: string;
}

/** TPMs not to seal to, by the name of a policy. The lists of ESXi are those of its documentation for the release. */
const VENDOR_POLICIES = {
  none: [],
  'esxi-7.0u2': [
    { manufacturer: 'NTZ' }, // NationZ
    { manufacturer: 'IFX' }, // Infineon
    { manufacturer: 'NTC', modelPrefix: 'NPCT75' }, // Nuvoton: certain new models only
  ],
  'esxi-7.0u3': [{ manufacturer: 'NTZ' }],
} as const satisfies Readonly<Record<string, readonly Refusal[]>>;

export type VendorPolicy = keyof typeof VENDOR_POLICIES;
export const VENDOR_POLICY_NAMES = Object.keys(VENDOR_POLICIES) as VendorPolicy[];
export const DEFAULT_VENDOR_POLICY: VendorPolicy = 'esxi-7.0u3';

/** @throws EntropyError tpm-vendor-refused */
export function requireVendor(identity: TpmIdentity, policy: VendorPolicy): void {
  const refusals: readonly Refusal[] = VENDOR_POLICIES[policy];
  const refused = refusals.some(
    ({ manufacturer, modelPrefix = '' }) =>
      identity.manufacturer === manufacturer && identity.model.startsWith(modelPrefix),
  );
  if (!refused) return;
  throw new EntropyError(
    'tpm-vendor-refused',
    `${identity.manufacturer} ${identity.model}, firmware ${identity.firmware}: not used under policy ${policy}`,
  );
}
