import type { EncryptionControl, Peer } from '../../src/contract/control-service.ts';
import type { EncryptionChange, EncryptionReport, SealCheck } from '../../src/contract/encryption.ts';

/** Answers what the change asks for, as a host that can satisfy all of it. */
export class FakeEncryption implements EncryptionControl {
  current: EncryptionReport = {
    mode: 'TPM',
    requireExecInstalledOnly: false,
    requireSecureBoot: true,
    passphrase: false,
    suspendedBoots: null,
    pcrs: [7, 14],
  };
  readonly #asked: <T>(name: string, given: readonly unknown[], answer: () => T) => T;

  constructor(asked: <T>(name: string, given: readonly unknown[], answer: () => T) => T) {
    this.#asked = asked;
  }

  report(): EncryptionReport {
    return this.#asked('encryption', [], () => this.current);
  }

  change(change: EncryptionChange, peer: Peer): Promise<EncryptionReport> {
    return this.#asked('changeEncryption', [change, peer], () => Promise.resolve(this.current));
  }

  setPassphrase(content: Uint8Array, peer: Peer): Promise<EncryptionReport> {
    return this.#asked('setPassphrase', [Buffer.from(content), peer], () => Promise.resolve(this.current));
  }

  removePassphrase(peer: Peer): Promise<EncryptionReport> {
    return this.#asked('removePassphrase', [peer], () => Promise.resolve(this.current));
  }

  suspend(boots: number, peer: Peer): Promise<EncryptionReport> {
    const answer = { ...this.current, suspendedBoots: boots === 0 ? null : boots };
    return this.#asked('suspendSeal', [boots, peer], () => Promise.resolve(answer));
  }

  check(): Promise<SealCheck> {
    const { mode, pcrs } = this.current;
    const keys = { secureBootKeys: 'changed', keysComparedWith: 'boot' } as const;
    const host = { mode, pcrs, suspendedBoots: 1, ...keys, secureBoot: 'on', signer: 'local' } as const;
    return this.#asked('checkSeal', [], () =>
      Promise.resolve({
        ...host,
        opens: false,
        code: 'tpm-pcr-changed',
        because: 'PCR 7 changed (tpm-pcr-changed)',
      }),
    );
  }
}
