import { wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { EntropyError, isEntropyError, type ErrorCode } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { Grant } from '../protocol/frame-payloads.ts';
import { GrantAccount } from '../protocol/grant-account.ts';
import { PAYLOAD_MAXIMUM_BYTES, PAYLOAD_MINIMUM_BYTES, SESSION_ID_BYTES } from '../protocol/limits.ts';
import { parseReceipt } from '../protocol/receipt.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { AdmittedSession } from './admitted-session.ts';
import type { PoolAddition } from './external-pool.ts';
import type { FeederAdmission } from './feeder-admission.ts';
import type { FeedConnection } from './feeder-visit.ts';
import type { LinkPeer } from './link-watch.ts';

export interface PoolVisitOptions {
  readonly feeder: FeederRecord;
  readonly peer: LinkPeer;
}

export interface PoolVisitDependencies {
  readonly admission: FeederAdmission;
  readonly random: RandomSource;
  readonly clock: Clock;
  /** The session of this visit is over, whoever ended it; perhaps before `begin` has given the visit. */
  readonly ended: (visit: PoolVisit) => void;
}

/** The id of a session begins with it when polling clients bring its entropy. */
const SESSION_MAGIC = Buffer.from('POOL', 'latin1');
const DIGEST_KEY_BYTES = 32;

const NO_GRANT: Grant = { totalBytes: 0, totalFrames: 0, lapseMs: 0 };

/** A feeder's session that no connection carries: requests come and go, and what they bring is put into frames here. */
export class PoolVisit implements FeedConnection {
  readonly #dependencies: PoolVisitDependencies;
  readonly #grants = new GrantAccount({ graceMs: 0 });
  #peer: LinkPeer;
  #session: AdmittedSession | undefined;
  #nextSequence = 1;
  /** Nobody else has it: these receipts are for the host's own chain, and give away nothing of the entropy. */
  readonly #digestKey: Buffer;
  #hasEnded = false;
  #isBusy = false;

  private constructor({ peer }: PoolVisitOptions, dependencies: PoolVisitDependencies) {
    this.#peer = peer;
    this.#dependencies = dependencies;
    this.#digestKey = randomBytes(dependencies.random, DIGEST_KEY_BYTES);
  }

  /** Takes the place of a session that the feeder has. Throws as FeederAdmission.admit does. */
  static async begin(options: PoolVisitOptions, dependencies: PoolVisitDependencies): Promise<PoolVisit> {
    const visit = new PoolVisit(options, dependencies);
    const { admission, random } = dependencies;
    visit.#session = await admission.admit({ record: options.feeder, nextKey: undefined }, visit);
    visit.#nextSequence = visit.#session.terms.nextSequence;
    const rest = randomBytes(random, SESSION_ID_BYTES - SESSION_MAGIC.length);
    visit.#session.begin(Buffer.concat([SESSION_MAGIC, rest]));
    visit.#pause();
    return visit;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** A request adds through it now. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  get address(): string {
    return this.#peer.address;
  }

  get ipAddress(): string {
    return this.#peer.ipAddress;
  }

  /** A request came: from here on the feeder's address is that of its sender. */
  heard(peer: LinkPeer): void {
    this.#peer = peer;
    if (this.#hasEnded) return;
    try {
      this.#session?.heard();
    } catch (error) {
      // Who asks too often is heard as often as its rate allows.
      if (!isEntropyError(error, 'feed-rate-exceeded')) throw error;
    }
  }

  /**
   * Puts data into frames of at most 64 KiB, as far as room and grants go. What is left over, or is shorter than the smallest frame (32
   * bytes), is dropped. Throws `feeder-replaced` when the session ended before it was all dealt with; `state-unwritable`, `engine-stopped`.
   */
  async add(data: Uint8Array, roomBytes: number): Promise<PoolAddition> {
    if (!this.#hasEnded) this.#session?.resume();
    this.#isBusy = true;
    try {
      return await this.#addFrames(data, roomBytes);
    } finally {
      this.#isBusy = false;
      this.#pause();
    }
  }

  async #addFrames(data: Uint8Array, roomBytes: number): Promise<PoolAddition> {
    const sum = { takenBytes: 0, droppedBytes: 0, failedBytes: 0 };
    let rest = data.subarray(0, Math.max(0, Math.min(data.length, roomBytes)));
    sum.droppedBytes += data.length - rest.length;
    while (rest.length > 0) {
      const bytes = this.#frameBytes(rest.length);
      const receipt = bytes === 0 ? undefined : await this.#send(rest.subarray(0, bytes));
      if (receipt === undefined) break;
      const { verdict, payloadBytes, memoryBytes, storedBytes } = receipt;
      const takenBytes = verdict === 'uncredited' ? payloadBytes : memoryBytes + storedBytes;
      if (verdict === 'test-failed') sum.failedBytes += payloadBytes;
      else sum.droppedBytes += payloadBytes - takenBytes;
      sum.takenBytes += takenBytes;
      rest = rest.subarray(bytes);
    }
    if (this.#hasEnded && rest.length > 0)
      throw new EntropyError('feeder-replaced', `${sum.takenBytes} bytes were taken before`);
    sum.droppedBytes += rest.length;
    return sum;
  }

  /** The client has left, by itself or because it was not heard any more. */
  async leave(): Promise<void> {
    await this.#close('end');
  }

  grant(grant: Grant): void {
    this.#grants.replace(grant, this.#dependencies.clock.monotonicMs());
  }

  level(): void {
    // The client asks for it.
  }

  lostTimeoutChanged(): void {
    // Told with each answer.
  }

  end(code: ErrorCode): void {
    void this.#close(code);
  }

  /** Of the next frame; never so many that what is left is too short for one. 0 when nothing can be sent. */
  #frameBytes(restBytes: number): number {
    const granted = this.#hasEnded ? 0 : this.#grants.availableBytes(this.#dependencies.clock.monotonicMs());
    const bytes = Math.min(restBytes, granted, PAYLOAD_MAXIMUM_BYTES);
    const left = restBytes - bytes;
    const even = left > 0 && left < PAYLOAD_MINIMUM_BYTES ? restBytes - PAYLOAD_MINIMUM_BYTES : bytes;
    return even >= PAYLOAD_MINIMUM_BYTES ? Math.min(even, bytes) : 0;
  }

  /** Undefined when the frame may not come now. */
  async #send(payload: Uint8Array): Promise<ReturnType<typeof parseReceipt> | undefined> {
    const session = this.#session;
    if (session === undefined || !this.#grants.use(payload.length, this.#dependencies.clock.monotonicMs()))
      return undefined;
    const digest = requestDigest(this.#digestKey, this.#nextSequence, payload);
    try {
      const settled = session.data({ sequence: this.#nextSequence, payload, digest });
      // One that was refused at once was never accepted: its sequence is the next one's.
      this.#nextSequence++;
      return parseReceipt(await settled);
    } catch (error) {
      if (isEntropyError(error, 'feed-rate-exceeded', 'feed-grant-exceeded')) return undefined;
      await this.#close(isEntropyError(error) ? error.code : 'internal');
      throw error;
    }
  }

  /** Between two requests it wants nothing, and is not expected to send. */
  #pause(): void {
    if (this.#hasEnded) return;
    this.#session?.pause();
    this.#grants.replace(NO_GRANT, this.#dependencies.clock.monotonicMs());
  }

  async #close(code: ErrorCode | 'end'): Promise<void> {
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#dependencies.ended(this);
      wipe(this.#digestKey);
    }
    await this.#session?.close(code);
  }
}
