import { wipe } from '../base/bytes.ts';
import { type Clock, withTimeout } from '../base/clock.ts';
import { EntropyError, isEntropyError, messageOf } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import type { HostFrame } from '../protocol/frame-payloads.ts';
import type { Welcome } from '../protocol/handshake-messages.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { Changes } from './changes.ts';
import type { FeedClientDependencies, FeedClientEvent, FeedLink } from './feed-client-events.ts';
import type { FeedConnection, FeedTarget } from './feed-connection.ts';
import { assertPayloadLength, GrantQueue } from './grant-queue.ts';
import { closedBy, HostError } from './host-error.ts';
import { type OpenConnection, openConnection } from './open-connection.ts';
import { ReceiptDesk, RECORDS_AT_A_TIME } from './receipt-desk.ts';

/** Frames on their way at most. */
const MAXIMUM_UNSETTLED_FRAMES = 128;

/** How long an orderly end waits for the last receipts and the signed end. */
const CLOSE_PATIENCE_MS = 5_000;

/**
 * A feeder's end of the feed, over any number of connections: what was sent is encrypted, overwritten here and never sent again; a frame
 * either gets its signed receipt, on a later connection if need be, or is lost.
 *
 * `connect` makes one connection; who wants another after it ended calls it again. Sends wait meanwhile.
 */
export class FeedClient {
  readonly #target: FeedTarget;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #observe: (event: FeedClientEvent) => void;
  readonly #grants: GrantQueue;
  readonly #receipts: ReceiptDesk;
  readonly #changes = new Changes();
  #connection: FeedConnection | undefined;
  #isResumed = false;
  #isAsking = false;
  /** Receipts that came in one piece of the stream; looked at together, when all of it has been read. */
  #records: Uint8Array[] = [];
  #failure: EntropyError | undefined;

  constructor(options: FeedTarget, dependencies: FeedClientDependencies) {
    this.#target = options;
    this.#clock = dependencies.clock;
    this.#random = dependencies.random;
    this.#observe = dependencies.observe ?? (() => undefined);
    this.#grants = new GrantQueue({ clock: this.#clock, available: () => this.#availableBytes() });
    this.#receipts = new ReceiptDesk(options, {
      keep: dependencies.keepReceipt ?? (() => undefined),
      taken: (receipt) => this.#observe({ kind: 'receipt', receipt }),
      lost: ({ frames, bytes }) => this.#observe({ kind: 'lost', frames, bytes }),
    });
  }

  /** Frames without a receipt so far. */
  get unsettledFrames(): number {
    return this.#receipts.unsettledFrames;
  }

  /** Receipts of the present session, or of the last one when it is over. */
  get sessionReceipts(): number {
    return this.#receipts.sessionReceipts;
  }

  /**
   * Connects, proves both sides, and settles what an earlier connection left open.
   *
   * @throws EntropyError feed-connection-lost and what the host refuses with; external-disabled: the host's mask leaves external entropy
   * out; feeder-unauthenticated; feed-message-invalid; receipt-invalid
   */
  async connect(): Promise<FeedLink> {
    if (this.#failure !== undefined) throw this.#failure;
    const { connection, proven, ended } = this.#opened();
    await proven;
    await this.#changes.until(() => this.#isResumed || !this.#isConnected());
    if (!this.#isConnected()) throw await ended;
    const { hello, welcome } = connection.terms;
    this.#observe({ kind: 'connected', hello, welcome });
    this.#grants.look();
    return { hello, welcome, ended };
  }

  /**
   * Resolves when a frame may be sent, with its payload bytes: the wanted ones, or less (32 at least) when the host offers no more for a
   * second. Waits over reconnects. A `send` of so many bytes that follows at once needs no wait.
   *
   * @throws EntropyError feed-connection-lost when the client is closed
   */
  granted(wantedBytes: number): Promise<number> {
    assertPayloadLength(wantedBytes);
    return this.#failure === undefined ? this.#grants.wait(wantedBytes) : Promise.reject(this.#failure);
  }

  /**
   * Sends one frame as soon as it is granted, and resolves with its receipt: its verdict tells what became of it. The payload, 32 to 65,536
   * bytes, is overwritten with zeros in any case.
   *
   * @throws EntropyError feed-connection-lost: no receipt will come, the bytes are destroyed and must not be sent again
   */
  async send(payload: Uint8Array): Promise<Receipt> {
    const { receipt } = await this.dispatch(payload);
    return receipt;
  }

  /**
   * The same in two steps: resolves when the frame has gone out and the payload is free for the next bytes, with the promise of its receipt
   * in an object.
   */
  async dispatch(payload: Uint8Array): Promise<{ readonly receipt: Promise<Receipt> }> {
    assertPayloadLength(payload.length);
    try {
      let isNext = this.#grants.isOpen(payload.length);
      for (;;) {
        const receipt = isNext ? this.#sendGranted(payload) : undefined;
        if (receipt !== undefined) return { receipt };
        isNext = (await this.granted(payload.length)) === payload.length;
      }
    } finally {
      wipe(payload);
    }
  }

  /** Resolves when every frame has its receipt or is lost. */
  settled(): Promise<void> {
    return this.#changes.until(() => this.unsettledFrames === 0);
  }

  /** Waits for receipts under way and the host's signed end, 5 seconds at most each, and ends. Open frames are lost then. */
  async close(): Promise<void> {
    const closed = new EntropyError('feed-connection-lost', 'the feeder has closed');
    const connection = this.#connection;
    this.#failure ??= closed;
    this.#grants.rejectAll(closed);
    // Before its session stands there is nothing to end in order.
    if (this.#isResumed) await this.#endInOrder(connection);
    this.#receivedRecords();
    connection?.end(closed);
    this.#receipts.abandon('the connection was lost before it came');
    this.#changes.tell();
  }

  async #endInOrder(connection: FeedConnection | undefined): Promise<void> {
    await this.#patiently(this.#changes.until(() => !this.#isConnected() || this.unsettledFrames === 0));
    if (this.#isConnected()) connection?.sendClose();
    await this.#patiently(this.#changes.until(() => !this.#isConnected()));
  }

  #opened(): OpenConnection {
    if (this.#connection !== undefined) throw new TypeError('connected already');
    const opened = openConnection(
      this.#target,
      {
        connected: () => this.#begin(opened.connection),
        frame: (frame) => this.#received(frame),
        ended: () => this.#ended(),
      },
      { clock: this.#clock, random: this.#random },
    );
    this.#connection = opened.connection;
    this.#isResumed = false;
    return opened;
  }

  #begin(connection: FeedConnection): void {
    const { hello, welcome } = connection.terms;
    if (hello.external === 'enabled') return this.#resume(connection, welcome);
    connection.end(new HostError('external-disabled', `the effective mask of the host is ${hello.mask}`));
  }

  /** What the host never accepted is lost; the records that were missed of sessions that broke off are asked for. */
  #resume(connection: FeedConnection, welcome: Welcome): void {
    this.#receipts.begin(welcome.session, welcome.nextSequence);
    this.#ask(connection, this.#receipts.missedFrom(welcome.lastReceipt));
  }

  #ask(connection: FeedConnection, fromSequence: number | undefined): void {
    this.#isAsking = fromSequence !== undefined;
    if (fromSequence !== undefined) return connection.ask(fromSequence, RECORDS_AT_A_TIME);
    this.#receipts.abandon('the host keeps none');
    this.#isResumed = true;
  }

  #received(frame: HostFrame): void {
    if (frame.kind === 'receipt') {
      if (this.#records.length === 0) queueMicrotask(() => this.#receivedRecords());
      this.#records.push(frame.record);
      return;
    }
    this.#receivedRecords();
    this.#guarded(() => this.#take(frame));
  }

  #receivedRecords(): void {
    const records = this.#records;
    if (records.length === 0) return;
    this.#records = [];
    this.#guarded(() => this.#receipts.take(records));
  }

  #guarded(work: () => void): void {
    try {
      work();
      this.#grants.look();
    } catch (error) {
      const told = isEntropyError(error) ? error : new EntropyError('internal', messageOf(error));
      this.#connection?.end(told);
    }
    this.#changes.tell();
  }

  #take(frame: Exclude<HostFrame, { kind: 'receipt' }>): void {
    switch (frame.kind) {
      case 'grant':
        this.#observe({ kind: 'room', grantedBytes: this.#connection?.grantedBytes ?? 0 });
        break;
      case 'answer':
        this.#answered(frame.records);
        break;
      case 'level':
        this.#observe({ kind: 'level', report: frame.report });
        break;
      case 'close':
        this.#connection?.end(closedBy(frame.code));
        break;
      case 'pong':
        break;
    }
  }

  #answered(records: readonly Uint8Array[]): void {
    if (!this.#isAsking || this.#connection === undefined)
      throw new EntropyError('feed-message-invalid', 'an answer nobody asked for');
    this.#ask(this.#connection, this.#receipts.takeAnswer(records));
  }

  /** Undefined when the grant has been used by others, or has lapsed, or there is no connection any more. */
  #sendGranted(payload: Uint8Array): Promise<Receipt> | undefined {
    const connection = this.#connection;
    if (connection === undefined || this.#availableBytes() < payload.length) return undefined;
    const payloadBytes = payload.length;
    try {
      const frame = connection.sendData(payload);
      return frame === undefined ? undefined : this.#receipts.add({ ...frame, payloadBytes });
    } catch (error) {
      // The keys of the session are used up: the next one has new ones.
      if (isEntropyError(error)) connection.end(error);
      throw error;
    } finally {
      this.#grants.look();
    }
  }

  #isConnected(): boolean {
    return this.#connection !== undefined;
  }

  #availableBytes(): number {
    if (this.#failure !== undefined || !this.#isResumed) return 0;
    // A host that has receipted nothing yet is trusted with one frame: no more is lost when it never does.
    const maximumFrames = this.sessionReceipts === 0 ? 1 : MAXIMUM_UNSETTLED_FRAMES;
    if (this.unsettledFrames >= maximumFrames) return 0;
    return this.#connection?.grantedBytes ?? 0;
  }

  #ended(): void {
    this.#connection = undefined;
    this.#isResumed = false;
    this.#changes.tell();
  }

  async #patiently(work: Promise<void>): Promise<void> {
    await withTimeout(this.#clock, CLOSE_PATIENCE_MS, work, () => new Error('patience')).catch(
      () => undefined,
    );
  }
}
