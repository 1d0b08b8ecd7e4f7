import { wipe } from '../base/bytes.ts';
import { isEntropyError, type EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import type { Peer } from '../contract/control-service.ts';
import {
  DEFAULT_WEIGHT,
  type FeederEnrolment,
  type FeederReport,
  type ReceiptKeyReport,
} from '../contract/feeders.ts';
import { encodeEnrolment } from '../protocol/enrolment-file.ts';
import { publicBytesOf } from '../protocol/raw-keys.ts';
import type { EnrolledKey, Enrolment } from '../state/enrolment.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import type { FeedPort } from './feed-port.ts';
import type { FeederAdmission } from './feeder-admission.ts';

export interface FeederRegistryOptions {
  /** What a feeder may send when its enrolment says nothing else. */
  readonly bytesPerSecond: number;
}

export interface FeederRegistryDependencies {
  readonly enrolment: Enrolment;
  readonly admission: FeederAdmission;
  readonly port: FeedPort;
  readonly events: EventSink;
  /** Where feeders connect; asked at each enrolment. */
  readonly url: () => string;
}

/** What operators do with feeders. Each change is durable, then in force for the connected ones, then told. */
export class FeederRegistry {
  readonly #options: FeederRegistryOptions;
  readonly #dependencies: FeederRegistryDependencies;

  constructor(options: FeederRegistryOptions, dependencies: FeederRegistryDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** In the order of enrolment. */
  list(): FeederReport[] {
    return this.#dependencies.enrolment.list().map((record) => this.#report(record));
  }

  /**
   * Enrols a feeder. Answers its enrolment file with the key in it, the caller's to wipe.
   * Throws `feeder-exists`, `feeder-limit`, `feeder-class-refused`, `request-invalid`, `state-unwritable`.
   */
  async enroll(
    name: string,
    terms: FeederEnrolment,
    importedKey: Uint8Array | undefined,
    peer: Peer,
  ): Promise<Buffer> {
    const { enrolment, admission, port } = this.#dependencies;
    const enrolled = await enrolment.enroll(
      name,
      {
        class: terms.class,
        rateUnits: Math.floor(terms.bitsPerByte * CREDIT_UNITS_PER_BIT),
        certificate: terms.certificate ?? '',
        maximumBytesPerSecond: terms.maximumBytesPerSecond,
        weight: terms.weight ?? DEFAULT_WEIGHT,
      },
      importedKey,
    );
    // The door may have been a revoked feeder's. Without an engine it remembers nothing, and the key must reach the caller.
    await failureOf(port.renewDoor(enrolled.record.door));
    admission.watch(enrolled.record);
    this.#tell('enrolled', enrolled.record, peer);
    return this.#file(enrolled);
  }

  /** Makes or imports another key; the old one holds until the new one is used. Answers and throws as `enroll`; `feeder-unknown`. */
  async rotate(name: string, importedKey: Uint8Array | undefined, peer: Peer): Promise<Buffer> {
    const enrolled = await this.#dependencies.enrolment.rotate(name, importedKey);
    this.#tell('given another key', enrolled.record, peer);
    return this.#file(enrolled);
  }

  /** Its session ends. Throws `feeder-unknown`, `state-unwritable`. */
  async disable(name: string, peer: Peer): Promise<FeederReport> {
    const { enrolment, admission } = this.#dependencies;
    const record = await enrolment.setState(name, 'disabled');
    this.#tell('disabled', record, peer);
    await admission.dismiss(record.id, 'feeder-disabled', 'an operator disabled the feeder');
    return this.#report(record);
  }

  /** Throws `feeder-unknown`, `state-unwritable`. */
  async enable(name: string, peer: Peer): Promise<FeederReport> {
    const { enrolment, admission, port } = this.#dependencies;
    const record = await enrolment.setState(name, 'enabled');
    await port.renewDoor(record.door);
    admission.watch(record);
    this.#tell('enabled', record, peer);
    return this.#report(record);
  }

  /**
   * Forgets a feeder and its key; what it has in the caches is never used. Answers what it was. Throws as `disable`; `engine-stopped` when
   * the caches could not be told: the feeder is revoked all the same, and the event says what failed.
   */
  async revoke(name: string, peer: Peer): Promise<FeederReport> {
    const { enrolment, admission, port } = this.#dependencies;
    const record = await enrolment.revoke(name);
    let failure: EntropyError | undefined;
    try {
      // At once what is there, whatever its session waits for; and once more what that still brought.
      await failureOf(port.voidFeeder(record.id));
      await admission.dismiss(record.id, 'feeder-unauthenticated', 'an operator revoked the feeder');
      failure = await failureOf(port.voidFeeder(record.id));
      if (failure !== undefined) throw failure;
      return this.#report(record);
    } finally {
      admission.forget(record.id);
      this.#tell('revoked', record, peer, failure);
    }
  }

  /** What receipts are verified with. Throws the error in `refused` of the enrolment; `state-unwritable` on first use. */
  async receiptKey(): Promise<ReceiptKeyReport> {
    const { host, receiptKey } = await this.#dependencies.admission.identity();
    return {
      host: host.toString('hex'),
      key: publicBytesOf(receiptKey).toString('hex'),
      algorithm: 'Ed25519',
    };
  }

  async #file({ record, key }: EnrolledKey): Promise<Buffer> {
    try {
      const { host, receiptKey } = await this.#dependencies.admission.identity();
      const url = this.#dependencies.url();
      return encodeEnrolment({ url, host, feeder: record.name, receiptKey: publicBytesOf(receiptKey), key });
    } finally {
      wipe(key);
    }
  }

  #report(record: FeederRecord): FeederReport {
    const { admission, enrolment } = this.#dependencies;
    const figures = admission.figuresOf(record.id);
    const isSuspended = record.state === 'enabled' && admission.isSuspended(record.id);
    return {
      name: record.name,
      id: record.id,
      class: record.class,
      bitsPerByte: record.rateUnits / CREDIT_UNITS_PER_BIT,
      certificate: record.certificate,
      maximumBytesPerSecond: record.maximumBytesPerSecond ?? this.#options.bytesPerSecond,
      weight: record.weight,
      state: isSuspended ? 'suspended' : record.state,
      ...admission.linkOf(record.id),
      acceptedBytes: figures.acceptedBytes,
      creditedBits: figures.creditedUnits / CREDIT_UNITS_PER_BIT,
      frames: figures.frames,
      refusedFrames: figures.refusedFrames,
      createdMs: record.createdMs,
      keyRotationPending: enrolment.isRotating(record.id),
    };
  }

  #tell(change: string, record: FeederRecord, peer: Peer, failure?: EntropyError): void {
    const { name, class: feederClass, rateUnits } = record;
    this.#dependencies.events.emit('feeder.enrolment.changed', {
      feeder: name,
      change,
      class: feederClass,
      bitsPerByte: rateUnits / CREDIT_UNITS_PER_BIT,
      by: peer.name,
      ...(failure === undefined ? {} : { failure: `${failure.code}: ${failure.message}` }),
    });
  }
}

/** What the engine refused with; undefined when it did what was asked. */
async function failureOf(work: Promise<void>): Promise<EntropyError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (!isEntropyError(error)) throw error;
    return error;
  }
}
