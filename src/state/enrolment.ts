import { secretCopyOf, wipe } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { EntropyError, isEntropyError } from '../base/errors.ts';
import { randomBytes, type RandomSource } from '../base/random.ts';
import type { FeederState } from '../contract/feeders.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import {
  assertKey,
  decodeKeys,
  encodeKeys,
  FEEDER_KEY_BYTES,
  isSameKey,
  wipeKeys,
  wipeKeysUnless,
  type FeederKeys,
} from './feeder-keys.ts';
import {
  assertFeederName,
  assertTerms,
  MAXIMUM_FEEDER_ID,
  MAXIMUM_FEEDERS,
  type FeederRecord,
  type FeederTerms,
} from './feeder-record.ts';
import { decodeRegister, encodeRegister, freeDoor, type FeederRegister } from './feeder-register.ts';
import { HostIdentityKeeper, type HostIdentity } from './host-identity.ts';
import type { StateArchive } from './state-archive.ts';

export interface EnrolmentDependencies {
  readonly archive: StateArchive;
  readonly random: RandomSource;
  readonly clock: Clock;
}

/** A key that was just made or imported, for the enrolment file: the caller's to wipe. */
export interface EnrolledKey {
  readonly record: FeederRecord;
  readonly key: Buffer;
}

/** The keys that a name may prove; both are always there, so that trying them takes the same time for every name. */
export interface KeyCandidates {
  /** Undefined for a name that nobody enrolled: the keys are then random, and no proof fits them. */
  readonly record: FeederRecord | undefined;
  readonly current: Uint8Array;
  readonly next: Uint8Array;
}

const REGISTER = 'feeders.json';
const KEYS = 'feeders.keys';

/**
 * Who may feed this host, by which key, and what his bytes are worth: documents of the state archive, changed one after the other,
 * each durable when it resolves and else as before. Names and terms stand in one document, keys in another; both are
 * saved in one batch, and so in one archive.
 */
export class Enrolment {
  readonly #archive: StateArchive;
  readonly #random: RandomSource;
  readonly #clock: Clock;
  readonly #queue = new SerialQueue();
  readonly #identity: HostIdentityKeeper;
  /** What unknown names are tried with. */
  readonly #nobody: Buffer;
  #register: FeederRegister = { nextId: 1, feeders: [] };
  #keys = new Map<number, FeederKeys>();
  #byName = new Map<string, FeederRecord>();
  #refused: EntropyError | undefined;

  private constructor(dependencies: EnrolmentDependencies) {
    this.#archive = dependencies.archive;
    this.#random = dependencies.random;
    this.#clock = dependencies.clock;
    this.#identity = new HostIdentityKeeper(dependencies);
    this.#nobody = randomBytes(dependencies.random, FEEDER_KEY_BYTES);
  }

  /** Reads what is stored. When that cannot be had there are no feeders and nothing can be changed; see `refused`. */
  static open(dependencies: EnrolmentDependencies): Enrolment {
    const enrolment = new Enrolment(dependencies);
    try {
      enrolment.#load();
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      enrolment.#refused = error;
    }
    return enrolment;
  }

  /** Why everything is refused; undefined when it is not. */
  get refused(): EntropyError | undefined {
    return this.#archive.refused ?? this.#refused;
  }

  /** Nobody was ever enrolled. */
  get untouched(): boolean {
    return this.#register.nextId === 1;
  }

  /** In the order of enrolment. */
  list(): readonly FeederRecord[] {
    return this.#register.feeders;
  }

  /** Throws `feeder-unknown`. */
  named(name: string): FeederRecord {
    const record = this.#byName.get(name);
    if (record === undefined) throw new EntropyError('feeder-unknown', 'no feeder of this name is enrolled');
    return record;
  }

  find(name: string): FeederRecord | undefined {
    return this.#byName.get(name);
  }

  isRotating(id: number): boolean {
    return this.#keys.get(id)?.next !== undefined;
  }

  /** The keys that a proof under this name is tried with. They are views: neither kept nor changed by the caller. */
  candidates(name: string): KeyCandidates {
    const record = this.#byName.get(name);
    const keys = record === undefined ? undefined : this.#keys.get(record.id);
    const current = keys?.current ?? this.#nobody;
    return { record, current, next: keys?.next ?? current };
  }

  /** Throws `state-unwritable` when it had to be made and could not; the error in `refused`. */
  identity(): Promise<HostIdentity> {
    return this.#queue.run(() => {
      this.#assertOpen();
      return this.#identity.identity();
    });
  }

  /**
   * A new feeder, enabled. Its key is made here unless one is imported (32 bytes, copied).
   * Throws `feeder-exists`, `feeder-limit`, `feeder-class-refused`, `request-invalid`, `state-unwritable`.
   */
  enroll(name: string, terms: FeederTerms, importedKey?: Uint8Array): Promise<EnrolledKey> {
    return this.#change(async ({ nextId, feeders }) => {
      assertFeederName(name);
      assertTerms(terms);
      if (this.#byName.has(name)) throw new EntropyError('feeder-exists', `${name} is enrolled already`);
      if (feeders.length >= MAXIMUM_FEEDERS || nextId > MAXIMUM_FEEDER_ID)
        throw new EntropyError('feeder-limit', `${feeders.length} feeders are enrolled`);
      const key = this.#newKey(importedKey);
      const place = { id: nextId, door: freeDoor(feeders), name };
      const record: FeederRecord = { ...place, ...terms, state: 'enabled', createdMs: this.#clock.wallMs() };
      const register = { nextId: nextId + 1, feeders: [...feeders, record] };
      await this.#save(register, new Map(this.#keys).set(record.id, { current: key, next: undefined }));
      return { record, key: secretCopyOf(key) };
    });
  }

  /** Throws `feeder-unknown`, `state-unwritable`. */
  setState(name: string, state: FeederState): Promise<FeederRecord> {
    return this.#change(async ({ nextId, feeders }) => {
      const before = this.named(name);
      if (before.state === state) return before;
      const record = { ...before, state };
      const changed = feeders.map((one) => (one.id === record.id ? record : one));
      await this.#save({ nextId, feeders: changed }, this.#keys);
      return record;
    });
  }

  /** Removes a feeder and its keys for good; its id is never given again. Throws `feeder-unknown`, `state-unwritable`. */
  revoke(name: string): Promise<FeederRecord> {
    return this.#change(async ({ nextId, feeders }) => {
      const record = this.named(name);
      const keys = new Map(this.#keys);
      keys.delete(record.id);
      await this.#save({ nextId, feeders: feeders.filter(({ id }) => id !== record.id) }, keys);
      return record;
    });
  }

  /** Another key, beside the one in use until it is used itself. Throws as `enroll` does. */
  rotate(name: string, importedKey?: Uint8Array): Promise<EnrolledKey> {
    return this.#change(async (register) => {
      const record = this.named(name);
      const { current } = this.#keysOf(record.id);
      const key = this.#newKey(importedKey);
      if (isSameKey(key, current)) throw new EntropyError('request-invalid', 'the new key is the old one');
      await this.#save(register, new Map(this.#keys).set(record.id, { current, next: key }));
      return { record, key: secretCopyOf(key) };
    });
  }

  /**
   * A new key was used (`provenKey`, copied before this returns): it takes the place of the old one, durably. When there is yet another new
   * one by then, that still waits for its first use, beside the proven one. Does nothing when there is no new one any more.
   */
  async completeRotation(id: number, provenKey: Uint8Array): Promise<void> {
    const proven = secretCopyOf(provenKey);
    try {
      await this.#change(async (register) => {
        const next = this.#keys.get(id)?.next;
        if (next === undefined) return;
        const keys = isSameKey(next, proven)
          ? { current: next, next: undefined }
          : { current: secretCopyOf(proven), next };
        await this.#save(register, new Map(this.#keys).set(id, keys));
      });
    } finally {
      wipe(proven);
    }
  }

  /** Waits for what is being changed, then wipes all keys; everything is refused from then on. */
  async close(): Promise<void> {
    await this.#queue.settled();
    this.#refused ??= new EntropyError('state-unwritable', 'the enrolment is closed');
    for (const keys of this.#keys.values()) wipeKeys(keys);
    this.#keys.clear();
    this.#byName.clear();
    this.#register = { nextId: this.#register.nextId, feeders: [] };
    this.#identity.wipe();
  }

  #load(): void {
    const register = this.#archive.document(REGISTER);
    const keys = this.#archive.document(KEYS);
    if ((register === undefined) !== (keys === undefined))
      throw new EntropyError('state-damaged', `${REGISTER} and ${KEYS} belong together`);
    if (register === undefined || keys === undefined) return;
    const decodedKeys = decodeKeys(keys);
    this.#register = decodeRegister(register);
    const { feeders } = this.#register;
    if (feeders.length !== decodedKeys.size || !feeders.every(({ id }) => decodedKeys.has(id))) {
      this.#register = { nextId: this.#register.nextId, feeders: [] };
      for (const one of decodedKeys.values()) wipeKeys(one);
      throw new EntropyError('state-damaged', `${REGISTER} and ${KEYS} name different feeders`);
    }
    this.#adopt(this.#register, decodedKeys);
  }

  #change<T>(work: (register: FeederRegister) => Promise<T>): Promise<T> {
    return this.#queue.run(() => {
      this.#assertOpen();
      return work(this.#register);
    });
  }

  /** Both saves are staged in one turn, so they go into one archive: never names without keys, or keys without names. */
  async #save(register: FeederRegister, keys: Map<number, FeederKeys>): Promise<void> {
    const keyDocument = encodeKeys(keys);
    try {
      await Promise.all([
        this.#archive.save(REGISTER, encodeRegister(register)),
        this.#archive.save(KEYS, keyDocument),
      ]);
    } catch (error) {
      wipeKeysUnless(keys, this.#keys);
      throw error;
    } finally {
      wipe(keyDocument);
    }
    wipeKeysUnless(this.#keys, keys);
    this.#adopt(register, keys);
  }

  #adopt(register: FeederRegister, keys: Map<number, FeederKeys>): void {
    this.#register = register;
    this.#keys = keys;
    this.#byName = new Map(register.feeders.map((record) => [record.name, record]));
  }

  #newKey(imported: Uint8Array | undefined): Buffer {
    if (imported === undefined) return randomBytes(this.#random, FEEDER_KEY_BYTES);
    assertKey(imported);
    return secretCopyOf(imported);
  }

  #keysOf(id: number): FeederKeys {
    const keys = this.#keys.get(id);
    if (keys === undefined) throw new Error('broken invariant: an enrolled feeder has a key');
    return keys;
  }

  #assertOpen(): void {
    if (this.refused !== undefined) throw this.refused;
  }
}
