import type { Clock } from '../base/clock.ts';
import { wipe } from '../base/bytes.ts';
import { isEntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Peer } from '../contract/control-service.ts';
import type { RecoveryControl, RecoveryReport } from '../contract/recovery.ts';
import { removeLeftover, replaceFile } from '../durable/atomic-file.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { SerialQueue } from '../durable/serial-queue.ts';
import { escrowed, recipientKey } from '../state/recovery-escrow.ts';
import { encodeRecoveryKey } from '../state/recovery-key.ts';
import {
  decodeRecoveryNotes,
  encodeRecoveryNotes,
  NO_NOTES,
  RECOVERY_NOTES,
  type RecoveryNotes,
} from '../state/recovery-notes.ts';
import { recoveryIdText } from '../state/recovery-wrapping.ts';
import type { StateArchive } from '../state/state-archive.ts';
import { RateLimit, type RateLimitOptions } from './rate-limit.ts';

export interface RecoveryDeskDependencies {
  readonly clock: Clock;
  readonly archive: StateArchive;
  readonly files: DurableFiles;
  readonly events: EventSink;
}

/** Beside the archive, so that whoever collects the one finds the other. */
export const ESCROW_FILE = 'bootbank/recovery-key.oaep';

const ALARMS: RateLimitOptions = { perSecond: 1 / 60, burst: 1 };

/**
 * What operators do with the recovery key. One thing at a time, and each is told: showing, rotating, escrow. The key leaves as
 * bytes that are wiped, and stands in no report, event or error.
 */
export class RecoveryDesk implements RecoveryControl {
  readonly #archive: StateArchive;
  readonly #files: DurableFiles;
  readonly #events: EventSink;
  readonly #queue = new SerialQueue();
  readonly #clock: Clock;
  readonly #alarms: RateLimit;

  constructor(dependencies: RecoveryDeskDependencies) {
    this.#archive = dependencies.archive;
    this.#files = dependencies.files;
    this.#events = dependencies.events;
    this.#clock = dependencies.clock;
    this.#alarms = new RateLimit(ALARMS, dependencies.clock.monotonicMs());
  }

  /** Tells at start what must not be forgotten, and makes an escrow file good that a crash left behind its key. */
  async open(): Promise<void> {
    if (this.#archive.refused !== undefined) return;
    await removeLeftover(this.#files, ESCROW_FILE);
    const { recovered, recoveredMs } = this.#notes();
    if (recovered !== '')
      this.#events.emit('state.recovered', { how: recovered, at: new Date(recoveredMs).toISOString() });
    await this.#queue.run(() => this.#renewEscrow());
    this.alarm();
  }

  /**
   * Told at start and whenever somebody begins to watch the host, once a minute at most, until the key is known to be backed up: whoever
   * connects again and again pushes nothing out of what is kept of events.
   */
  alarm(): void {
    const { id, state } = this.report();
    if (state === 'not-backed-up' && this.#alarms.take(1, this.#clock.monotonicMs()))
      this.#events.emit('recovery.key.not-backed-up', { id });
  }

  report(): RecoveryReport {
    const id = this.#id();
    const notes = this.#notes();
    return {
      id,
      state: this.#state(notes, id),
      escrowFile: notes.escrowedId !== '' && notes.escrowedId === id ? ESCROW_FILE : '',
    };
  }

  show(peer: Peer): Promise<Uint8Array> {
    return this.#queue.run(async () => {
      const line = await this.#line();
      this.#events.emit('recovery.key.shown', { id: this.#id(), by: peer.name });
      return line;
    });
  }

  rotate(peer: Peer): Promise<RecoveryReport> {
    return this.#queue.run(async () => {
      const before = this.#id();
      await this.#archive.rotate();
      this.#events.emit('recovery.key.rotated', { before, id: this.#id(), by: peer.name });
      if (this.#notes().recovered !== '') await this.#save({ recovered: '', recoveredMs: 0 });
      await this.#renewEscrow();
      return this.report();
    });
  }

  acknowledge(peer: Peer): Promise<RecoveryReport> {
    return this.#queue.run(async () => {
      wipe((await this.#archive.recoveryKey()).secret);
      await this.#save({ acknowledgedId: this.#id() });
      this.#events.emit('recovery.key.acknowledged', { id: this.#id(), by: peer.name });
      return this.report();
    });
  }

  escrow(recipient: string, peer: Peer): Promise<RecoveryReport> {
    return this.#queue.run(async () => {
      recipientKey(recipient);
      await this.#writeEscrow(recipient, peer.name);
      return this.report();
    });
  }

  async backup(): Promise<RecoveryReport> {
    await this.#archive.backup();
    return this.report();
  }

  /** After a rotation, and after a crash in the middle of one. The old file opens nothing, so a failure is told and no more. */
  async #renewEscrow(): Promise<void> {
    const { recipient, escrowedId } = this.#notes();
    if (recipient === '' || escrowedId === this.#id()) return;
    try {
      await this.#writeEscrow(recipient, 'the rotation');
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      this.#events.emit('recovery.escrow.failed', { code: error.code, because: error.message });
    }
  }

  async #writeEscrow(recipient: string, by: string): Promise<void> {
    const line = await this.#line();
    try {
      await replaceFile(this.#files, ESCROW_FILE, escrowed(line, recipient));
    } finally {
      wipe(line);
    }
    const id = this.#id();
    await this.#save({ recipient, escrowedId: id, acknowledgedId: id });
    this.#events.emit('recovery.key.escrowed', { id, file: ESCROW_FILE, by });
  }

  /** `{UUID} 000000-…` and a line end; the caller's to wipe. */
  async #line(): Promise<Buffer> {
    const { id, secret } = await this.#archive.recoveryKey();
    const digits = encodeRecoveryKey(secret);
    wipe(secret);
    const head = `${recoveryIdText(id)} `;
    const line = Buffer.alloc(head.length + digits.length + 1, '\n');
    line.write(head, 'latin1');
    digits.copy(line, head.length);
    wipe(digits);
    return line;
  }

  #state({ recovered, acknowledgedId }: RecoveryNotes, id: string): RecoveryReport['state'] {
    if (recovered !== '') return recovered === 'older-copy' ? 'older-copy' : 'recovered';
    if (!this.#archive.isProtected) return 'unprotected';
    return acknowledgedId !== '' && acknowledgedId === id ? 'backed-up' : 'not-backed-up';
  }

  #id(): string {
    return this.#archive.recoveryId;
  }

  #notes(): RecoveryNotes {
    if (this.#archive.refused !== undefined) return NO_NOTES;
    return decodeRecoveryNotes(this.#archive.document(RECOVERY_NOTES));
  }

  #save(change: Partial<RecoveryNotes>): Promise<void> {
    return this.#archive.save(RECOVERY_NOTES, encodeRecoveryNotes({ ...this.#notes(), ...change }));
  }
}
