import path from 'node:path';
import { type Clock, SystemClock } from '../base/clock.ts';
import { EntropyError, isEntropyError, messageOf } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { RandomSource } from '../base/random.ts';
import { EFI_VARIABLES, readSecureBoot, type SecureBoot } from '../hardware/secure-boot.ts';
import {
  EVENT_LOG,
  readMeasuredKeys,
  readSecureBootKeys,
  type SecureBootKeys,
} from '../hardware/secure-boot-keys.ts';
import type { KeysReport } from '../contract/encryption.ts';
import { DowngradeGuard } from '../state/downgrade-guard.ts';
import { Installation } from '../state/installation.ts';
import { readPassphrase, type PassphrasePlace } from './passphrase-place.ts';
import { NoneWrapping, type KeyWrapping } from '../state/root-key.ts';
import { SECURE_BOOT_PCR } from '../base/names.ts';
import { TpmGeneration } from '../state/tpm-generation.ts';
import { TpmWrapping } from '../state/tpm-wrapping.ts';
import { DEFAULT_VENDOR_POLICY, type VendorPolicy } from '../state/tpm-vendor-policy.ts';
import { Tpm } from '../tpm/tpm.ts';
import { explainAbsence } from '../tpm/absence.ts';

export const DEFAULT_TPM = '/dev/tpmrm0';

export interface EncryptionOptions {
  /** What a new archive gets: `auto` is TPM where that can be used, else NONE. */
  readonly mode: 'none' | 'tpm' | 'auto';
  /** Undefined: DEFAULT_TPM, used only where the mode or the archive asks for it. */
  readonly tpm: string | undefined;
  readonly vendorPolicy: VendorPolicy;
  /** Joined into a new archive of mode NONE, and what an existing one opens by. */
  readonly passphrase: PassphrasePlace | undefined;
  /** The installed files are verified at start, whatever the archive asks. */
  readonly verifyInstallation: boolean;
  /** Where the firmware's variables are; another place in tests. */
  readonly efiVariables: string | undefined;
}

/** Nothing is sealed that is not sealed already: for a program that prepares what the daemon starts from. */
export const WITHOUT_SEALING: EncryptionOptions = {
  mode: 'none',
  tpm: undefined,
  vendorPolicy: DEFAULT_VENDOR_POLICY,
  passphrase: undefined,
  verifyInstallation: false,
  efiVariables: undefined,
};

export interface StateEncryptionDependencies {
  readonly installation: Installation;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
}

/** For a program that works on a state while no daemon does: what happens is for that program to tell. */
export function offlineEncryption(
  options: EncryptionOptions & { readonly stateDirectory: string },
  { random, root }: { readonly random: RandomSource; readonly root: string },
): StateEncryption {
  return new StateEncryption(
    { ...options, stateDirectory: path.resolve(options.stateDirectory) },
    {
      random,
      clock: new SystemClock(),
      events: { emit: () => undefined },
      installation: new Installation({ root }),
    },
  );
}

/** The modes of the archive, put together: how each wraps, which one a new archive gets, and what a start verifies. */
export class StateEncryption {
  readonly installation: Installation;
  readonly sealing: TpmWrapping;
  /** Counts the generations of the caches' key, in mode TPM. */
  readonly generation: TpmGeneration;
  readonly none: NoneWrapping;
  readonly wrappings: readonly KeyWrapping[];
  readonly #options: EncryptionOptions;
  #keysAtStart: SecureBootKeys | undefined;
  readonly #dependencies: StateEncryptionDependencies;

  constructor(
    options: EncryptionOptions & { readonly stateDirectory: string },
    dependencies: StateEncryptionDependencies,
  ) {
    const { random, events, installation } = dependencies;
    this.installation = installation;
    this.#options = options;
    this.#dependencies = dependencies;
    const subject = options.stateDirectory;
    const openTpm = (): Promise<Tpm> => this.#openTpm();
    this.sealing = new TpmWrapping(
      { subject, vendorPolicy: options.vendorPolicy },
      {
        openTpm,
        random,
        measureInstallation: async () => (await installation.verify()).measurement,
        onUnmarked: ({ code, message }) => events.emit('encryption.unmarked', { code, because: message }),
      },
    );
    this.generation = new TpmGeneration({ subject }, { openTpm });
    const { passphrase } = options;
    this.none = new NoneWrapping({
      random,
      ...(passphrase !== undefined && { passphrase: () => readPassphrase(passphrase) }),
    });
    // Who says none and names no TPM has none: a scratch instance never looks at the host's.
    const isTpmMeant = options.mode !== 'none' || options.tpm !== undefined;
    this.wrappings = [
      isTpmMeant ? new DowngradeGuard({ subject }, { inner: this.none, openTpm }) : this.none,
      this.sealing,
    ];
  }

  /** How to reach the TPM, where options or archive speak of one. */
  tpmOf({ isSealed }: { readonly isSealed: boolean }): (() => Promise<Tpm>) | undefined {
    const isMeant = this.#options.mode !== 'none' || this.#options.tpm !== undefined;
    return isMeant || isSealed ? () => this.#openTpm() : undefined;
  }

  /** Whether this start was given a passphrase. */
  get isPassphraseGiven(): boolean {
    return this.#options.passphrase !== undefined;
  }

  /** Whether db and dbx are those of the boot, or of this start where it is not told what was measured. */
  async keys(): Promise<KeysReport> {
    const { efiVariables } = this.#options;
    const log = efiVariables === undefined ? EVENT_LOG : path.join(efiVariables, path.basename(EVENT_LOG));
    const [now, measured] = await Promise.all([readSecureBootKeys(efiVariables), readMeasuredKeys(log)]);
    this.#keysAtStart ??= now;
    const before = measured ?? this.#keysAtStart;
    if (now === undefined || before === undefined) return { secureBootKeys: 'unknown', keysComparedWith: '' };
    return {
      secureBootKeys: now.db === before.db && now.dbx === before.dbx ? 'same' : 'changed',
      keysComparedWith: measured === undefined ? 'start' : 'boot',
    };
  }

  /** Tells at start when PCR 7 will be another at the next boot, and the archive is sealed to it. */
  async tellChangedKeys(): Promise<void> {
    const { secureBootKeys, keysComparedWith } = await this.keys();
    if (secureBootKeys === 'changed' && this.sealing.pcrs.includes(SECURE_BOOT_PCR))
      this.#dependencies.events.emit('configenc.keys.changed', { comparedWith: keysComparedWith });
  }

  secureBoot(): Promise<SecureBoot> {
    return readSecureBoot(this.#options.efiVariables ?? EFI_VARIABLES);
  }

  /**
   * The mode that a new archive gets.
   *
   * @throws EntropyError what keeps the TPM from being used, where nothing else will do
   */
  async modeOfNew(): Promise<'NONE' | 'TPM'> {
    if (this.#options.mode === 'none') return 'NONE';
    const pcrs = await this.pcrsOfNew();
    try {
      await this.sealing.assess(pcrs);
      this.sealing.pcrs = pcrs;
      return 'TPM';
    } catch (error) {
      if (this.#options.mode === 'tpm' || !isEntropyError(error)) throw error;
      this.tellNone(error);
      return 'NONE';
    }
  }

  /** What a new archive is sealed to: Secure Boot where it is on, else the TPM alone. */
  async pcrsOfNew(): Promise<number[]> {
    return (await this.secureBoot()) === 'on' ? [SECURE_BOOT_PCR] : [];
  }

  tellNone({ code, message }: EntropyError): void {
    this.#dependencies.events.emit('encryption.mode.none', { code, because: message });
  }

  /** @throws EntropyError installation-altered, when it was asked for */
  async verifyInstallation(): Promise<void> {
    if (!this.#options.verifyInstallation) return;
    const { signer, files } = await this.installation.verify();
    void this.installation.runningNode().then(
      ({ path, sha256 }) =>
        this.#dependencies.events.emit('installation.verified', {
          signer,
          files,
          node: path,
          nodeSha256: sha256,
        }),
      (error: unknown) =>
        this.#dependencies.events.emit('installation.verified', { signer, files, node: messageOf(error) }),
    );
  }

  async #openTpm(): Promise<Tpm> {
    const path = this.#options.tpm ?? DEFAULT_TPM;
    try {
      return await Tpm.open(path, this.#dependencies);
    } catch (error) {
      throw await explainAbsence(error, path);
    }
  }
}
