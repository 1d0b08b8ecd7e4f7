import { wipe } from '../base/bytes.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import { untilResetDigest } from '../tpm/boot-policy.ts';
import { extended, pcrPolicyDigest, type PcrValues } from '../tpm/pcr.ts';
import { isRefusal } from '../tpm/response-code.ts';
import type { StorageRoot } from '../tpm/storage-root.ts';
import type { Tpm } from '../tpm/tpm.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import { KEY_BYTES, openEnvelope, sealEnvelope, type EnvelopeKey } from './envelope.ts';
import type { KeyWrapping } from './root-key.ts';
import { INSTALLATION_PCR, parseSealFields, sealFields, type SealFields } from './seal-fields.ts';
import type { SuspendedSeal } from './seal-suspension.ts';
import type { SealedPart } from './sealed-part.ts';
import { requireVendor, type VendorPolicy } from './tpm-vendor-policy.ts';
import { whyNotUnsealed } from './unseal-failure.ts';

/** A seal that does not look at the PCRs that firmware changes, for a while. */
export interface Suspension {
  /** Boots after the present one in which it holds; negative when it is over. */
  readonly bootsLeft: number;
  /** The PCRs had changed, and the archive opened by the suspension. */
  readonly opened: boolean;
}

export interface TpmWrappingOptions {
  /** The state directory: its counter in the TPM is the mark of mode TPM. */
  readonly subject: string;
  readonly vendorPolicy: VendorPolicy;
}

export interface TpmWrappingDependencies {
  readonly openTpm: () => Promise<Tpm>;
  readonly random: RandomSource;
  /** Verifies the installed files; the digest stands for verdict and signer. @throws EntropyError installation-altered */
  readonly measureInstallation: () => Promise<Buffer>;
  /** Told when what must not refuse could not be done: the state directory is not marked in the TPM. */
  readonly onUnmarked: (error: EntropyError) => void;
}

const PURPOSE = 'archive key, mode TPM';
/** What PCR 23 is extended with once the key is out: until the next start nobody unseals by it. */
const CLOSED = Buffer.from('entropy-mixer: installation PCR closed'.padEnd(KEY_BYTES, '\0')).subarray(
  0,
  KEY_BYTES,
);

/**
 * Mode TPM: the archive key is wrapped under a random key that the TPM seals to its PCRs. Whoever has the disk alone has nothing; the TPM
 * gives the key when the host started as it did when it was sealed.
 */
export class TpmWrapping implements KeyWrapping {
  readonly mode = 'TPM';
  readonly #options: TpmWrappingOptions;
  readonly #dependencies: TpmWrappingDependencies;
  #pcrs: readonly number[] = [];
  #suspendedUntil: number | undefined;
  #suspension: Suspension | undefined;

  constructor(options: TpmWrappingOptions, dependencies: TpmWrappingDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** The PCRs of the policy: of what was unsealed, or what the next `wrap` seals to. */
  get pcrs(): readonly number[] {
    return this.#pcrs;
  }

  set pcrs(pcrs: readonly number[]) {
    this.#pcrs = [...new Set(pcrs)].sort((a, b) => a - b);
  }

  /** The suspension of what was opened or wrapped last; undefined when there is none. */
  get suspension(): Suspension | undefined {
    return this.#suspension;
  }

  /** The next `wrap` also seals for this boot and so many more, whatever firmware does to the PCRs; 0 for none. Gives what takes that back. */
  async suspend(boots: number): Promise<() => void> {
    const before = [this.#suspendedUntil, this.#suspension] as const;
    this.#suspendedUntil = boots === 0 ? undefined : (await this.#withTpm((tpm) => tpm.resetCount())) + boots;
    return () => {
      [this.#suspendedUntil, this.#suspension] = before;
    };
  }

  /**
   * Whether the TPM could seal to these PCRs, without changing anything in it.
   *
   * @throws EntropyError tpm-absent, tpm-permission, tpm-busy, tpm-version, tpm-no-sha256, tpm-owned, tpm-vendor-refused …
   */
  async assess(pcrs: readonly number[]): Promise<void> {
    await this.#withTpm(async (tpm) => {
      requireVendor(await tpm.identify(), this.#options.vendorPolicy);
      await tpm.requireSha256Bank(pcrs);
      await tpm.withStorageRoot({}, () => Promise.resolve());
    });
  }

  /** Throws as `assess` does, and installation-altered. */
  async wrap(key: EnvelopeKey): Promise<ReadonlyMap<string, string>> {
    return this.#withTpm(async (tpm) => {
      requireVendor(await tpm.identify(), this.#options.vendorPolicy);
      await tpm.requireSha256Bank(this.#pcrs);
      await tpm.provisionStorageRoot();
      const endorsementName = await tpm.endorsementName();
      return tpm.withStorageRoot({}, async (root) => {
        const values = await this.#valuesToSealTo(tpm);
        const sealed = await this.#sealed(tpm, root, key, pcrPolicyDigest(values), PURPOSE);
        const suspended = await this.#sealedUntil(tpm, root, key, values);
        return sealFields({ ...sealed, rootName: root.name, endorsementName, values, suspended });
      });
    });
  }

  /**
   * @throws EntropyError tpm-pcr-changed, tpm-cleared, tpm-replaced, tpm-root-changed, installation-altered, state-damaged,
   *   and what the TPM throws
   */
  async unwrap(info: EncryptionInfo): Promise<Buffer> {
    const fields = parseSealFields(info);
    return this.#withTpm(async (tpm) => {
      try {
        return await tpm.withStorageRoot({ pinnedName: fields.rootName }, (root) =>
          this.#opened(tpm, root, info, fields),
        );
      } catch (error) {
        throw await whyNotUnsealed(error, tpm, fields);
      }
    });
  }

  /** Marks the state directory in the TPM: from now on an archive of mode NONE is a downgrade. */
  async settle(): Promise<void> {
    try {
      await this.#withTpm((tpm) =>
        tpm.withStorageRoot({}, async (root) => {
          const counter = tpm.counter(this.#options.subject);
          if (!(await counter.isDefined())) await counter.define(root);
        }),
      );
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      this.#dependencies.onUnmarked(error);
    }
  }

  async #withTpm<T>(work: (tpm: Tpm) => Promise<T>): Promise<T> {
    const tpm = await this.#dependencies.openTpm();
    try {
      return await work(tpm);
    } finally {
      await tpm.close();
    }
  }

  /** PCRs as they are, but PCR 23 as the next start will make it. */
  async #valuesToSealTo(tpm: Tpm): Promise<PcrValues> {
    const values = new Map(await tpm.readPcrs(this.#pcrs));
    if (!values.has(INSTALLATION_PCR)) return values;
    const digest = await this.#dependencies.measureInstallation();
    return values.set(INSTALLATION_PCR, extended(Buffer.alloc(KEY_BYTES), digest));
  }

  /** A new random key that the TPM seals under this policy, and the archive key under it. */
  async #sealed(
    tpm: Tpm,
    root: StorageRoot,
    key: EnvelopeKey,
    policyDigest: Buffer,
    purpose: string,
  ): Promise<SealedPart> {
    const { random } = this.#dependencies;
    const secret = randomBytes(random, KEY_BYTES);
    try {
      const sealed = await tpm.seal({ root, secret, policyDigest });
      return { ...sealed, wrappedKey: sealEnvelope({ id: key.id, secret }, purpose, key.secret, random) };
    } finally {
      wipe(secret);
    }
  }

  /** While the seal is suspended: under no PCR but the installation's, until the last boot. */
  async #sealedUntil(
    tpm: Tpm,
    root: StorageRoot,
    key: EnvelopeKey,
    values: PcrValues,
  ): Promise<SuspendedSeal | undefined> {
    const untilReset = this.#suspendedUntil;
    this.#suspension = undefined;
    if (untilReset === undefined) return undefined;
    const bootsLeft = untilReset - (await tpm.resetCount());
    if (bootsLeft < 0) return undefined;
    const kept = new Map([...values].filter(([pcr]) => pcr === INSTALLATION_PCR));
    const policyDigest = untilResetDigest(pcrPolicyDigest(kept), untilReset);
    const purpose = suspendedPurpose(values.keys());
    const sealed = { ...(await this.#sealed(tpm, root, key, policyDigest, purpose)), untilReset };
    this.#suspension = { bootsLeft, opened: false };
    return sealed;
  }

  /** By the PCRs; while the seal is suspended also without those that firmware changes. */
  async #opened(tpm: Tpm, root: StorageRoot, info: EncryptionInfo, fields: SealFields): Promise<Buffer> {
    const { suspended } = fields;
    const bootsLeft = suspended === undefined ? undefined : suspended.untilReset - (await tpm.resetCount());
    const pcrs = [...fields.values.keys()];
    let key: Buffer;
    let opened = false;
    try {
      key = this.#unwrapWith(await this.#unseal(tpm, { root, sealed: fields, pcrs }), info, fields, PURPOSE);
    } catch (error) {
      const isSuspended = suspended !== undefined && (bootsLeft ?? -1) >= 0;
      if (!isSuspended || !isRefusal(error, 'POLICY_FAIL')) throw error;
      const kept = pcrs.filter((pcr) => pcr === INSTALLATION_PCR);
      const { untilReset } = suspended;
      const secret = await this.#unseal(tpm, { root, sealed: suspended, pcrs: kept, untilReset });
      key = this.#unwrapWith(secret, info, suspended, suspendedPurpose(pcrs));
      opened = true;
    }
    // The TPM gave it under these PCRs and no others, so they are what the policy is; while suspended, what it was.
    this.pcrs = pcrs;
    this.#suspendedUntil = suspended?.untilReset;
    this.#suspension = bootsLeft === undefined ? undefined : { bootsLeft, opened };
    return key;
  }

  async #unseal(tpm: Tpm, options: Parameters<Tpm['unseal']>[0]): Promise<Buffer> {
    if (!options.pcrs.includes(INSTALLATION_PCR)) return tpm.unseal(options);
    const digest = await this.#dependencies.measureInstallation();
    await tpm.resetPcr(INSTALLATION_PCR);
    await tpm.extendPcr(INSTALLATION_PCR, digest);
    try {
      return await tpm.unseal(options);
    } finally {
      await tpm.extendPcr(INSTALLATION_PCR, CLOSED);
    }
  }

  #unwrapWith(
    secret: Buffer,
    info: EncryptionInfo,
    { wrappedKey }: { readonly wrappedKey: Buffer },
    purpose: string,
  ): Buffer {
    try {
      if (secret.length !== KEY_BYTES)
        throw new EntropyError('state-damaged', 'the TPM gives a key of the wrong length');
      return openEnvelope({ id: info.keyId, secret }, purpose, wrappedKey);
    } finally {
      wipe(secret);
    }
  }
}

/** The TPM does not vouch for the PCRs of a suspended seal, which is sealed anew to them: so its envelope does. */
function suspendedPurpose(pcrs: Iterable<number>): string {
  return `${PURPOSE}, suspended for PCR ${[...pcrs].sort((a, b) => a - b).join(' ')}`;
}
