import { EntropyError, isEntropyError } from '../base/errors.ts';
import type { Tpm } from '../tpm/tpm.ts';
import type { EncryptionInfo } from './encryption-info.ts';
import type { EnvelopeKey } from './envelope.ts';
import type { KeyWrapping } from './root-key.ts';

/**
 * A mode that the TPM does not know of, where it may know better: refused when the TPM has a mark of mode TPM for the state directory. A
 * host without a usable TPM has no mark; whoever can take the TPM away takes the mark with it.
 */
export class DowngradeGuard implements KeyWrapping {
  readonly mode: string;
  readonly #subject: string;
  readonly #inner: KeyWrapping;
  readonly #openTpm: () => Promise<Tpm>;

  constructor(
    options: { readonly subject: string },
    dependencies: { readonly inner: KeyWrapping; readonly openTpm: () => Promise<Tpm> },
  ) {
    this.mode = dependencies.inner.mode;
    this.#subject = options.subject;
    this.#inner = dependencies.inner;
    this.#openTpm = dependencies.openTpm;
  }

  /** @throws EntropyError state-downgraded */
  async wrap(key: EnvelopeKey): Promise<ReadonlyMap<string, string>> {
    await this.#refuseWhenMarked();
    return this.#inner.wrap(key);
  }

  /** @throws EntropyError state-downgraded */
  async unwrap(info: EncryptionInfo): Promise<Buffer> {
    await this.#refuseWhenMarked();
    return this.#inner.unwrap(info);
  }

  async #refuseWhenMarked(): Promise<void> {
    const mark = await this.#mark();
    if (mark === undefined) return;
    throw new EntropyError(
      'state-downgraded',
      `NV index 0x${mark.toString(16)} of the TPM marks this state directory as of mode TPM, and the archive is of mode ${this.mode}`,
    );
  }

  /** The index of the mark; undefined when there is none, or no TPM that could hold one. */
  async #mark(): Promise<number | undefined> {
    let tpm: Tpm;
    try {
      tpm = await this.#openTpm();
    } catch (error) {
      if (isEntropyError(error, 'tpm-absent', 'tpm-permission', 'tpm-version')) return undefined;
      throw error;
    }
    try {
      const counter = tpm.counter(this.#subject);
      return (await counter.isDefined()) ? counter.index : undefined;
    } catch (error) {
      if (isEntropyError(error, 'tpm-nv-foreign')) return undefined;
      throw error;
    } finally {
      await tpm.close();
    }
  }
}
