import { createHash, randomFillSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { ERRORS, isEntropyError } from '../../src/base/errors.ts';
import type { FrameVerdict } from '../../src/base/names.ts';
import {
  encodeAnswer,
  encodeClose,
  encodeGrant,
  encodeLevel,
  encodePong,
  HOST_FRAMES,
  readFeederFrame,
  type FeederFrame,
} from '../../src/protocol/frame-payloads.ts';
import { GrantAccount } from '../../src/protocol/grant-account.ts';
import type { HostHello } from '../../src/protocol/handshake-messages.ts';
import { HostHandshake, type FeedSession } from '../../src/protocol/handshake.ts';
import { FEED_PATH, FEED_SUBPROTOCOL, MESSAGE_MAXIMUM_BYTES } from '../../src/protocol/limits.ts';
import { ReceiptChain } from '../../src/protocol/receipt-chain.ts';
import { receiptDigest } from '../../src/protocol/receipt.ts';
import { HELLO, HOST_ID, KEY, RECEIPT_PRIVATE_KEY } from './feed-fixture.ts';

export interface MinimalHostOptions {
  readonly hello?: HostHello;
  /** The host's own idea of the feeder's key. */
  readonly key?: Uint8Array;
  /** The connection breaks when so many data frames in sum were taken, before the receipt of the last one leaves. */
  readonly breakAfterFrames?: readonly number[];
  /** What one grant allows. */
  readonly grantBytes?: number;
  readonly verdict?: FrameVerdict;
}

const RATE_UNITS = 8192;
const LAPSE_MS = 10_000;

/** A host that speaks the protocol and keeps what it gets: enough to try a client of any make. Loopback, any port. */
export class MinimalFeedHost {
  /** Payloads of all data frames, in order. */
  readonly payloads: Buffer[] = [];
  /** All receipts of all sessions, in order of signing. */
  readonly receipts: { readonly sequence: number; readonly record: Buffer }[] = [];
  /** Codes of the faults that ended a connection. */
  readonly faults: string[] = [];
  asks = 0;
  nextSequence = 1;
  readonly options: MinimalHostOptions;
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer, options: MinimalHostOptions) {
    this.#server = server;
    this.options = options;
    server.on('connection', (socket) => new Connection(this, socket));
  }

  static async open(options: MinimalHostOptions = {}): Promise<MinimalFeedHost> {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      path: FEED_PATH,
      maxPayload: MESSAGE_MAXIMUM_BYTES,
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(FEED_SUBPROTOCOL) ? FEED_SUBPROTOCOL : false),
    });
    await new Promise((resolve) => server.once('listening', resolve));
    return new MinimalFeedHost(server, options);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}${FEED_PATH}`;
  }

  async close(): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

class Connection {
  readonly #host: MinimalFeedHost;
  readonly #socket: WebSocket;
  readonly #handshake: HostHandshake;
  readonly #grants = new GrantAccount({ graceMs: 2000 });
  #session: FeedSession | undefined;
  #chain: ReceiptChain | undefined;
  #lastSequence = 0;

  constructor(host: MinimalFeedHost, socket: WebSocket) {
    this.#host = host;
    this.#socket = socket;
    this.#handshake = new HostHandshake(host.options.hello ?? HELLO, {
      random: (target) => void randomFillSync(target),
    });
    socket.on('message', (data: Buffer) => this.#received(data));
    socket.on('close', () => this.#endChain());
    socket.send(this.#handshake.hello.toString());
  }

  #received(data: Buffer): void {
    // What had arrived before the connection broke: a host that is gone takes nothing.
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    try {
      if (this.#session === undefined) this.#welcome(data);
      else this.#handle(readFeederFrame(this.#session.opener.open(data)), data);
    } catch (error) {
      if (!isEntropyError(error)) throw error;
      this.#host.faults.push(error.code);
      this.#socket.close(ERRORS[error.code].webSocketClose, error.code);
    }
  }

  #welcome(data: Buffer): void {
    const { options, nextSequence, receipts } = this.#host;
    this.#handshake.readProof(data);
    if (!this.#handshake.accepts(options.key ?? KEY)) {
      this.#host.faults.push('feeder-unauthenticated');
      this.#socket.close(4401, 'feeder-unauthenticated: the proof does not match');
      return;
    }
    const last = receipts.at(-1);
    const { message, session } = this.#handshake.welcome({
      nextSequence,
      lastReceipt: last === undefined ? undefined : receiptDigest(last.record),
      feederClass: 'full-entropy',
      rateUnits: RATE_UNITS,
    });
    this.#session = session;
    this.#chain = new ReceiptChain(
      { host: HOST_ID, session: session.id, feeder: 'lab-1', feederId: 7 },
      { privateKey: RECEIPT_PRIVATE_KEY },
    );
    this.#socket.send(message.toString());
    const report = { level: 'below-watermark', cachedPercent: 3, lostTimeoutSeconds: 60 } as const;
    this.#send(HOST_FRAMES.level, encodeLevel(report));
    this.#grant();
  }

  #handle(frame: FeederFrame, message: Buffer): void {
    this.#host.nextSequence = frame.sequence + 1;
    switch (frame.kind) {
      case 'data':
        return this.#data(frame.sequence, frame.payload, message);
      case 'ping':
        return this.#send(HOST_FRAMES.pong, encodePong(frame.sequence));
      case 'ask': {
        this.#host.asks++;
        const from = this.#host.receipts.filter(({ sequence }) => sequence >= frame.fromSequence);
        const records = from.slice(0, frame.records).map(({ record }) => record);
        return this.#send(HOST_FRAMES.answer, encodeAnswer(records));
      }
      case 'close':
        return this.#end();
    }
  }

  #data(sequence: number, payload: Uint8Array, message: Buffer): void {
    const { payloads, options, receipts } = this.#host;
    if (!this.#grants.use(payload.length, performance.now())) {
      this.#host.faults.push('feed-grant-exceeded');
      this.#socket.close(4429, 'feed-grant-exceeded');
      return;
    }
    payloads.push(Buffer.from(payload));
    this.#lastSequence = sequence;
    const verdict = options.verdict ?? 'accepted';
    const memoryBytes = verdict === 'accepted' ? payload.length : 0;
    const record = this.#chain!.receipt({
      sequence,
      frameDigest: createHash('sha256').update(message).digest(),
      verdict,
      payloadBytes: payload.length,
      memoryBytes,
      storedBytes: 0,
      creditUnits: memoryBytes * RATE_UNITS,
      timeMs: Date.now(),
    });
    receipts.push({ sequence, record });
    if (options.breakAfterFrames?.includes(payloads.length) === true) {
      this.#endChain();
      this.#socket.terminate();
      return;
    }
    this.#send(HOST_FRAMES.receipt, record);
    if (this.#grants.availableBytes(performance.now()) < 4096) this.#grant();
  }

  #grant(): void {
    const totalBytes = this.#grants.usedBytes + (this.#host.options.grantBytes ?? 1_048_576);
    const grant = { totalBytes, totalFrames: this.#grants.usedFrames + 1000, lapseMs: LAPSE_MS };
    this.#grants.replace(grant, performance.now());
    this.#send(HOST_FRAMES.grant, encodeGrant(grant));
  }

  #end(): void {
    const record = this.#endChain();
    if (record !== undefined) this.#send(HOST_FRAMES.receipt, record);
    this.#send(HOST_FRAMES.close, encodeClose('end'));
    this.#socket.close(1000, 'end');
  }

  #endChain(): Buffer | undefined {
    const record = this.#chain?.end(Date.now());
    this.#chain = undefined;
    if (record !== undefined) this.#host.receipts.push({ sequence: this.#lastSequence, record });
    return record;
  }

  #send(type: number, payload: Uint8Array): void {
    if (this.#session !== undefined) this.#socket.send(this.#session.sealer.seal(type, payload));
  }
}
