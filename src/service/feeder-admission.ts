import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError, isEntropyError, type ErrorCode } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { LevelReport } from '../protocol/frame-payloads.ts';
import type { HostHello } from '../protocol/handshake-messages.ts';
import type { Enrolment, KeyCandidates } from '../state/enrolment.ts';
import type { FeederRecord } from '../state/feeder-record.ts';
import { AdmittedSession } from './admitted-session.ts';
import { FeedFlow } from './feed-flow.ts';
import { FEEDER_LIMITS, HostGreeting, type FeederLimits, type SigningIdentity } from './feeder-greeting.ts';
import { FeederNews } from './feeder-news.ts';
import type { FeedPort } from './feed-port.ts';
import {
  FeederVisit,
  type FeedConnection,
  type FeederFigures,
  type SeenPayloadStore,
  type SequenceMarkStore,
} from './feeder-visit.ts';
import type { GrantOptions } from './grants.ts';
import type { LinkName } from './link-watch.ts';
import { ReceiptStore } from './receipt-store.ts';

export { FEEDER_LIMITS, type FeederLimits } from './feeder-greeting.ts';

export interface FeederAdmissionOptions {
  /** Name and version of this software, as the hello tells them. */
  readonly software: string;
  /** Effective source mask; without bit 8 nothing is granted. */
  readonly mask: number;
  readonly lostTimeoutSeconds: number;
  readonly limits?: FeederLimits;
  readonly grants?: GrantOptions;
}

export interface FeederAdmissionDependencies {
  readonly enrolment: Enrolment;
  readonly port: FeedPort;
  readonly marks: SequenceMarkStore;
  readonly seen: SeenPayloadStore;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
}

/** Who may feed this host now, and how much: one session for each feeder, its grants, its link and its figures. */
export class FeederAdmission {
  readonly #limits: FeederLimits;
  readonly #dependencies: FeederAdmissionDependencies;
  readonly #greeting: HostGreeting;
  readonly #news: FeederNews;
  readonly #flow: FeedFlow;
  readonly #receipts: ReceiptStore;
  readonly #sessions = new Map<number, AdmittedSession>();
  readonly #figures = new Map<number, FeederFigures>();
  /** Suspended for now, whether or not that could be written down. */
  readonly #suspended = new Set<number>();
  #lostTimeoutSeconds: number;
  #level: Omit<LevelReport, 'lostTimeoutSeconds'> | undefined;
  #closed = false;

  constructor(options: FeederAdmissionOptions, dependencies: FeederAdmissionDependencies) {
    this.#limits = options.limits ?? FEEDER_LIMITS;
    this.#dependencies = dependencies;
    this.#receipts = new ReceiptStore({ capacity: this.#limits.receiptsKept });
    this.#lostTimeoutSeconds = options.lostTimeoutSeconds;
    this.#greeting = new HostGreeting({ ...options, limits: this.#limits }, dependencies);
    this.#news = new FeederNews(dependencies);
    const { isEnabled } = this;
    this.#flow = new FeedFlow({ ...options, isEnabled, limits: this.#limits }, dependencies);
    for (const record of dependencies.enrolment.list()) this.watch(record);
  }

  /** Whether the effective mask has bit 8. */
  get isEnabled(): boolean {
    return this.#greeting.isEnabled;
  }

  get lostTimeoutSeconds(): number {
    return this.#lostTimeoutSeconds;
  }

  get handshakeMs(): number {
    return this.#limits.handshakeSeconds * 1000;
  }

  isConnected(id: number): boolean {
    return this.#sessions.has(id);
  }

  get feedersConnected(): number {
    return this.#sessions.size;
  }

  /** Of the host: any feeder whose bytes are worth something. */
  get hostLink(): LinkName {
    return this.#flow.hostLink;
  }

  /** What the host tells whoever connects. Throws the error in `refused` of the enrolment; `state-unwritable` on first use. */
  hello(): Promise<HostHello> {
    return this.#greeting.hello(this.#lostTimeoutSeconds);
  }

  /** Host id and private key of receipts. Throws as `hello` does. */
  identity(): Promise<SigningIdentity> {
    return this.#greeting.identity();
  }

  /** The keys to try a proof with; there are two for every name, known or not. */
  candidates(name: string): KeyCandidates {
    return this.#dependencies.enrolment.candidates(name);
  }

  /**
   * A feeder proved a key of `candidates`, or came with a token of its own; `nextKey` is that key when it is the one that takes the old one's place (it is copied before
   * this returns). A session that the feeder has already is ended first, and what that brought is dealt with.
   *
   * @throws EntropyError feeder-disabled, feeder-suspended, feeder-unauthenticated (revoked meanwhile), state-unwritable, engine-stopped
   */
  async admit(
    proven: { readonly record: Pick<FeederRecord, 'id' | 'name'>; readonly nextKey: Uint8Array | undefined },
    connection: FeedConnection,
  ): Promise<AdmittedSession> {
    const { enrolment, port } = this.#dependencies;
    const { id, door } = this.#currentRecord(proven.record);
    // A disk that refuses leaves the old key valid, which the list of feeders shows; feeding goes on.
    if (proven.nextKey !== undefined) await quietly(enrolment.completeRotation(id, proven.nextKey));
    const { host, receiptKey } = await this.identity();
    await this.#replace(id);
    await port.resetDoor(door);
    await this.#replace(id);
    // While that took its time the feeder may have been disabled, and another of its sessions may have been admitted and ended.
    const record = this.#currentRecord(proven.record);
    const visit = new FeederVisit(
      { record, host, figures: this.#figuresOf(id) },
      { ...this.#dependencies, news: this.#news, receipts: this.#receipts, receiptKey },
    );
    return this.#enter(visit, connection);
  }

  /** The caches have room for so much. */
  roomChanged(roomBytes: number): void {
    this.#flow.roomChanged(roomBytes);
  }

  /** Tells every feeder how full the caches are, and later those that come. */
  levelChanged(report: Omit<LevelReport, 'lostTimeoutSeconds'>): void {
    this.#level = report;
    for (const session of this.#sessions.values()) session.connection.level(this.#levelReport(report));
  }

  /** `external-entropy-lost-timeout` changed. */
  reconfigure(lostTimeoutSeconds: number): void {
    this.#lostTimeoutSeconds = lostTimeoutSeconds;
    this.#flow.reconfigure(lostTimeoutSeconds);
    for (const session of this.#sessions.values()) session.connection.lostTimeoutChanged();
    if (this.#level !== undefined) this.levelChanged(this.#level);
  }

  /** A feeder was enrolled or enabled: its silence is news from now on, and what it was suspended for is forgotten. */
  watch(record: FeederRecord): void {
    this.#suspended.delete(record.id);
    this.#figuresOf(record.id).duplicatesInRow = 0;
    if (record.state === 'enabled') this.#flow.watch(record);
  }

  /** A feeder was disabled, suspended or revoked. Resolves when what it sent has been dealt with. */
  async dismiss(id: number, code: ErrorCode, detail: string): Promise<void> {
    this.#flow.unwatch(id);
    const session = this.#sessions.get(id);
    session?.connection.end(code, detail);
    await session?.close(code);
  }

  figuresOf(id: number): Readonly<FeederFigures> {
    return this.#figuresOf(id);
  }

  /** A feeder was revoked, and has been dismissed. */
  forget(id: number): void {
    this.#figures.delete(id);
    this.#suspended.delete(id);
    this.#dependencies.marks.forget(id);
  }

  /** Kept records of a feeder from a sequence on; see `ReceiptStore.from`. */
  receiptsFrom(id: number, sequence: number, records: number): Buffer[] {
    return this.#receipts.from(id, sequence, records);
  }

  linkOf(id: number): ReturnType<FeedFlow['linkOf']> {
    return this.#flow.linkOf(id);
  }

  isSuspended(id: number): boolean {
    return this.#suspended.has(id);
  }

  /** Ends all sessions; resolves when their frames have been dealt with. */
  async close(): Promise<void> {
    this.#closed = true;
    const ids = [...this.#sessions.keys()];
    await Promise.all(ids.map((id) => this.dismiss(id, 'engine-stopped', 'the daemon stops')));
    this.#flow.close();
  }

  /** The record as it is now; throws when the feeder may not feed. */
  #currentRecord({ id, name }: Pick<FeederRecord, 'id' | 'name'>): FeederRecord {
    if (this.#closed) throw new EntropyError('engine-stopped', 'the daemon stops');
    const record = this.#dependencies.enrolment.find(name);
    if (record?.id !== id) throw new EntropyError('feeder-unauthenticated', 'the proof does not match');
    if (record.state === 'disabled') throw new EntropyError('feeder-disabled', `${name} is disabled`);
    if (record.state === 'suspended' || this.isSuspended(id))
      throw new EntropyError('feeder-suspended', `${name} is suspended`);
    return record;
  }

  async #replace(id: number): Promise<void> {
    for (let session = this.#sessions.get(id); session !== undefined; session = this.#sessions.get(id)) {
      session.connection.end('feeder-replaced', 'the feeder connected again');
      await session.close('feeder-replaced');
    }
  }

  #enter(visit: FeederVisit, connection: FeedConnection): AdmittedSession {
    const { id, name } = visit.record;
    const { address } = connection;
    const level = this.#level === undefined ? undefined : this.#levelReport(this.#level);
    const session = new AdmittedSession(
      { visit, connection, level },
      {
        flow: this.#flow,
        receipts: this.#receipts,
        suspend: (reason) => this.#suspend(session, reason),
        left: (code) => {
          this.#sessions.delete(id);
          this.#news.tell('feeder.disconnected', name, { address, reason: code });
        },
      },
    );
    this.#sessions.set(id, session);
    this.#dependencies.counters.add('feeder.connections');
    this.#news.tell('feeder.connected', name, { address });
    return session;
  }

  /** In force at once, and at the next start too if the disk takes it. */
  #suspend({ record: { id, name }, connection }: AdmittedSession, reason: string): void {
    if (this.#suspended.has(id)) return;
    this.#suspended.add(id);
    this.#dependencies.events.emit('feeder.suspended', { feeder: name, reason });
    void quietly(this.#dependencies.enrolment.setState(name, 'suspended'));
    this.#flow.unwatch(id);
    connection.end('feeder-suspended', reason);
  }

  #levelReport(level: Omit<LevelReport, 'lostTimeoutSeconds'>): LevelReport {
    return { ...level, lostTimeoutSeconds: this.#lostTimeoutSeconds };
  }

  #figuresOf(id: number): FeederFigures {
    const known = this.#figures.get(id);
    if (known !== undefined) return known;
    const figures = { acceptedBytes: 0, creditedUnits: 0, frames: 0, refusedFrames: 0, duplicatesInRow: 0 };
    this.#figures.set(id, figures);
    return figures;
  }
}

/** For work whose failure is shown elsewhere, and whose success nothing here depends on. */
async function quietly(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isEntropyError(error)) throw error;
  }
}
