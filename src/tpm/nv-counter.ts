import { createHash } from 'node:crypto';
import { EntropyError } from '../base/errors.ts';
import { ALGORITHM, HANDLE, NV_ATTRIBUTE } from './codes.ts';
import { selfNamed, type Authorization, type NamedHandle } from './command-channel.ts';
import { nameOf } from './public-area.ts';
import { isRefusal } from './response-code.ts';
import { withSession, type SessionDependencies } from './salted-session.ts';
import type { StorageRoot } from './storage-root.ts';
import { TpmWriter } from './wire.ts';

const COUNTER_BYTES = 8;
/** Indices that the TCG's registry leaves to the owner: 0x01800000 to 0x01BFFFFF. */
const FIRST_INDEX = 0x01800000;
const INDEX_BITS = 22;
const N = NV_ATTRIBUTE;
/**
 * With an empty authorization value everybody who may use the TPM may count on, which makes a state look older than it is and never the
 * reverse, and nobody may count back: a TPM gives a new counter more than any counter ever had (part 1, 37.2.7.4).
 */
const ATTRIBUTES = N.counter | N.ownerWrite | N.authWrite | N.ownerRead | N.authRead | N.noDa;
const MAXIMUM_PUBLIC_BYTES = 128;

/**
 * A counter in the TPM's non-volatile memory that belongs to a subject, and so also a mark that the subject exists. The subject's digest
 * chooses the index, and stands in it whole, in the field of the policy that nothing here uses.
 */
export class NvCounter {
  readonly index: number;
  readonly #digest: Buffer;
  readonly #dependencies: SessionDependencies;

  constructor(options: { readonly subject: string }, dependencies: SessionDependencies) {
    this.#digest = createHash('sha256').update(`entropy-mixer counter\0${options.subject}`).digest();
    this.index = FIRST_INDEX + (this.#digest.readUInt32BE() >>> (32 - INDEX_BITS));
    this.#dependencies = dependencies;
  }

  /** Whether it is there. @throws EntropyError tpm-nv-foreign when the index is somebody else's */
  async isDefined(): Promise<boolean> {
    return (await this.#readPublic()) !== undefined;
  }

  /** Makes it, and counts once: without that it could not be read. @throws EntropyError tpm-nv-foreign, tpm-nv-full, tpm-owned */
  async define(root: StorageRoot): Promise<void> {
    await this.#withSession(root, (authorization) =>
      this.#dependencies.channel.run('nvDefineSpace', {
        handles: [selfNamed(HANDLE.owner)],
        authorization,
        parameters: new TpmWriter().u16(0).sized(this.#publicArea(0)).bytes(),
      }),
    );
    await this.increment(root);
  }

  /** Its value. @throws EntropyError tpm-nv-missing, tpm-nv-foreign */
  async read(root: StorageRoot): Promise<bigint> {
    const index = await this.#named();
    const { parameters } = await this.#withSession(root, (authorization) =>
      this.#dependencies.channel.run('nvRead', {
        handles: [index, index],
        authorization,
        parameters: new TpmWriter().u16(COUNTER_BYTES).u16(0).bytes(),
      }),
    );
    const value = parameters.sized(COUNTER_BYTES).readBigUInt64BE();
    parameters.end();
    return value;
  }

  /** Adds one, durably. Non-volatile memory wears: this is for once an hour, not once a second. */
  async increment(root: StorageRoot): Promise<void> {
    const index = await this.#named();
    await this.#withSession(root, (authorization) =>
      this.#dependencies.channel.run('nvIncrement', { handles: [index, index], authorization }),
    );
  }

  /** Takes it away; true when it was there. */
  async undefine(root: StorageRoot): Promise<boolean> {
    const publicArea = await this.#readPublic();
    if (publicArea === undefined) return false;
    await this.#withSession(root, (authorization) =>
      this.#dependencies.channel.run('nvUndefineSpace', {
        handles: [selfNamed(HANDLE.owner), { handle: this.index, name: nameOf(publicArea) }],
        authorization,
      }),
    );
    return true;
  }

  #withSession<T>(root: StorageRoot, use: (authorization: Authorization) => Promise<T>): Promise<T> {
    return withSession({ type: 'hmac', root }, this.#dependencies, (session) => use(session.authorization()));
  }

  async #named(): Promise<NamedHandle> {
    const publicArea = await this.#readPublic();
    if (publicArea === undefined)
      throw new EntropyError('tpm-nv-missing', `the TPM has no NV index 0x${this.index.toString(16)}`);
    return { handle: this.index, name: nameOf(publicArea) };
  }

  /** TPMS_NV_PUBLIC; undefined when the index is not defined. */
  async #readPublic(): Promise<Buffer | undefined> {
    try {
      const { parameters } = await this.#dependencies.channel.run('nvReadPublic', {
        handles: [selfNamed(this.index)],
      });
      const publicArea = Buffer.from(parameters.sized(MAXIMUM_PUBLIC_BYTES));
      if (![0, N.written].some((written) => publicArea.equals(this.#publicArea(written))))
        throw new EntropyError(
          'tpm-nv-foreign',
          `NV index 0x${this.index.toString(16)} belongs to something else`,
        );
      return publicArea;
    } catch (error) {
      if (isRefusal(error, 'HANDLE', 'VALUE')) return undefined;
      throw error;
    }
  }

  #publicArea(written: number): Buffer {
    return new TpmWriter()
      .u32(this.index)
      .u16(ALGORITHM.sha256)
      .u32(ATTRIBUTES | written)
      .sized(this.#digest)
      .u16(COUNTER_BYTES)
      .bytes();
  }
}
