import type { Clock } from '../base/clock.ts';
import type { RandomSource } from '../base/random.ts';
import { resetCount } from './boot-policy.ts';
import { identify, randomOfTpm, requireSha256Bank, type TpmIdentity } from './capabilities.ts';
import { CommandChannel } from './command-channel.ts';
import { NvCounter } from './nv-counter.ts';
import { extendPcr, readPcrs, resetPcr, type PcrValues } from './pcr.ts';
import { isRefusal } from './response-code.ts';
import { seal, unseal, type SealedSecret } from './sealed-secret.ts';
import { endorsementName, provisionStorageRoot, withStorageRoot, type StorageRoot } from './storage-root.ts';
import { openTransport } from './transport.ts';
import { TpmWriter } from './wire.ts';

export interface TpmDependencies {
  readonly clock: Clock;
  readonly random: RandomSource;
}

const CLEAR = 0;

/**
 * A TPM 2.0, opened for a while: the part of the TPM 2.0 Library Specification that sealing needs. Every transient object and
 * session that it makes it also flushes. One program at a time uses a software TPM's socket, so it is closed soon.
 */
export class Tpm {
  readonly #channel: CommandChannel;
  readonly #random: RandomSource;

  private constructor(channel: CommandChannel, random: RandomSource) {
    this.#channel = channel;
    this.#random = random;
  }

  /**
   * @param path a character device, `/dev/tpmrm0`, or `swtpm:SOCKET`
   * @throws EntropyError tpm-absent, tpm-permission, tpm-busy, tpm-version, tpm-timeout, tpm-protocol, tpm-refused
   */
  static async open(path: string, dependencies: TpmDependencies): Promise<Tpm> {
    const channel = new CommandChannel({ transport: await openTransport(path), clock: dependencies.clock });
    try {
      await startUp(channel);
      return new Tpm(channel, dependencies.random);
    } catch (error) {
      await channel.close();
      throw error;
    }
  }

  identify(): Promise<TpmIdentity> {
    return identify(this.#channel);
  }

  /** @throws EntropyError tpm-no-sha256 */
  requireSha256Bank(pcrs: readonly number[]): Promise<void> {
    return requireSha256Bank(pcrs, this.#channel);
  }

  /** 1 to 32 bytes of the TPM's own generator; the caller's to wipe. */
  randomBytes(bytes: number): Promise<Buffer> {
    return randomOfTpm(bytes, this.#channel);
  }

  readPcrs(pcrs: readonly number[]): Promise<PcrValues> {
    return readPcrs(pcrs, this.#channel);
  }

  extendPcr(pcr: number, digest: Uint8Array): Promise<void> {
    return extendPcr(pcr, digest, this.#channel);
  }

  resetPcr(pcr: number): Promise<void> {
    return resetPcr(pcr, this.#channel);
  }

  /** Lends the storage root key; see storage-root.ts. @throws EntropyError tpm-root-changed */
  withStorageRoot<T>(
    options: { readonly pinnedName?: Uint8Array },
    use: (root: StorageRoot) => Promise<T>,
  ): Promise<T> {
    return withStorageRoot(options, this.#channel, use);
  }

  /** Keeps the storage root key in the TPM, so that a start need not make it anew; false when that place is taken. */
  provisionStorageRoot(): Promise<boolean> {
    return provisionStorageRoot(this.#channel);
  }

  endorsementName(): Promise<Buffer | undefined> {
    return endorsementName(this.#channel);
  }

  seal(options: Parameters<typeof seal>[0]): Promise<SealedSecret> {
    return seal(options, this.#session());
  }

  unseal(options: Parameters<typeof unseal>[0]): Promise<Buffer> {
    return unseal(options, this.#session());
  }

  /** How often the TPM was reset, as at each start of the host. */
  resetCount(): Promise<number> {
    return resetCount(this.#channel);
  }

  counter(subject: string): NvCounter {
    return new NvCounter({ subject }, this.#session());
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  #session(): { channel: CommandChannel; random: RandomSource } {
    return { channel: this.#channel, random: this.#random };
  }
}

/** Firmware starts a TPM; a software TPM may still wait for it. `INITIALIZE` tells that it was started before. */
async function startUp(channel: CommandChannel): Promise<void> {
  try {
    await channel.run('startup', { parameters: new TpmWriter().u16(CLEAR).bytes() });
  } catch (error) {
    if (!isRefusal(error, 'INITIALIZE')) throw error;
  }
}
