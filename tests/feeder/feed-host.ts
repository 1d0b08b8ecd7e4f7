import { createHash, generateKeyPairSync, randomBytes, randomFillSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ErrorCode } from '../../src/base/errors.ts';
import type { FrameVerdict } from '../../src/base/names.ts';
import type { Enrolment } from '../../src/protocol/enrolment-file.ts';
import {
  type CloseReason,
  encodeAnswer,
  encodeClose,
  encodeGrant,
  encodeLevel,
  encodePong,
  type FeederFrame,
  type Grant,
  HOST_FRAMES,
  readFeederFrame,
} from '../../src/protocol/frame-payloads.ts';
import { type FeedSession, HostHandshake } from '../../src/protocol/handshake.ts';
import { FEED_PATH, FEED_SUBPROTOCOL, MESSAGE_MAXIMUM_BYTES } from '../../src/protocol/limits.ts';
import { publicBytesOf } from '../../src/protocol/raw-keys.ts';
import { parseReceipt, receiptDigest } from '../../src/protocol/receipt.ts';
import { ReceiptChain } from '../../src/protocol/receipt-chain.ts';

const FEEDER = 'test-feeder';
const PLENTY: Grant = { totalBytes: 1e9, totalFrames: 1e6, lapseMs: 60_000 };

/** What became of a data frame: a verdict is receipted; `swallow` takes it without an answer; `drop` cuts the connection instead. */
export type Fate = FrameVerdict | 'swallow' | 'drop';

export interface FeedHostOptions {
  readonly external?: 'enabled' | 'disabled';
  readonly lostTimeoutSeconds?: number;
  /** The grant after each welcome; none when undefined. */
  readonly grant?: Grant | undefined;
  /** Grants so many frames more after each frame. */
  readonly windowFrames?: number;
}

/** The host's end in a few lines, made of the same codecs: it keeps all it gets, and misbehaves as told. */
export class FeedHost {
  readonly payloads: Buffer[] = [];
  readonly asked: number[] = [];
  readonly frames: FeederFrame['kind'][] = [];
  connections = 0;
  grant: Grant | undefined;
  external: 'enabled' | 'disabled';
  readonly enrolment: Enrolment;
  /** Decides for the n-th data frame in all, from 0. */
  fateOf: (index: number) => Fate = () => 'accepted';
  /** May change a record on its way out. */
  alter: (record: Buffer) => Buffer = (record) => record;
  /** May sign for another frame than came. */
  signedDigest: (frameDigest: Buffer) => Buffer = (frameDigest) => frameDigest;
  signedSequence: (sequence: number) => number = (sequence) => sequence;
  /** Whether receipts that were missed are told when asked for. */
  keepsReceipts = true;
  answersPings = true;
  /** Whether receipts go out as they are signed; else they are only kept. */
  sendsReceipts = true;
  /** Whether a session that breaks off is ended by a signed record. */
  endsBroken = true;
  lostTimeoutSeconds: number;
  nextSequence = 1;
  readonly #server: WebSocketServer;
  readonly #windowFrames: number | undefined;
  readonly #receiptKeys = generateKeyPairSync('ed25519');
  #records: { readonly sequence: number; readonly record: Buffer }[] = [];
  #link: HostLink | undefined;
  #chain: ReceiptChain | undefined;

  private constructor(server: WebSocketServer, options: FeedHostOptions) {
    this.#server = server;
    this.external = options.external ?? 'enabled';
    this.grant = 'grant' in options ? options.grant : PLENTY;
    this.#windowFrames = options.windowFrames;
    if (options.windowFrames !== undefined) this.grant = { ...PLENTY, totalFrames: options.windowFrames };
    this.lostTimeoutSeconds = options.lostTimeoutSeconds ?? 60;
    const { port } = server.address() as AddressInfo;
    this.enrolment = {
      url: `ws://127.0.0.1:${port}${FEED_PATH}`,
      host: randomBytes(16),
      feeder: FEEDER,
      receiptKey: publicBytesOf(this.#receiptKeys.publicKey),
      key: randomBytes(32),
    };
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async open(options: FeedHostOptions = {}): Promise<FeedHost> {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      path: FEED_PATH,
      maxPayload: MESSAGE_MAXIMUM_BYTES,
      handleProtocols: (offered) => (offered.has(FEED_SUBPROTOCOL) ? FEED_SUBPROTOCOL : false),
    });
    await new Promise((resolve) => server.once('listening', resolve));
    return new FeedHost(server, options);
  }

  /** The session under way. */
  get link(): HostLink {
    if (this.#link === undefined) throw new Error('nobody is connected');
    return this.#link;
  }

  async close(): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Cuts the connection, as a network does. */
  breakOff(): void {
    if (this.endsBroken && this.#chain !== undefined) this.#end(this.#chain);
    this.link.socket.terminate();
  }

  /** Keeps the records of this sequence no more. */
  forget(sequence: number): void {
    this.#records = this.#records.filter((kept) => kept.sequence !== sequence);
  }

  #serve(socket: WebSocket): void {
    this.connections += 1;
    socket.on('error', () => undefined);
    const handshake = new HostHandshake(
      {
        software: 'test-host 1',
        host: this.enrolment.host,
        external: this.external,
        mask: this.external === 'enabled' ? 8 : 4,
        limits: {
          frameMinimumBytes: 32,
          frameMaximumBytes: 65_536,
          handshakeSeconds: 5,
          bytesPerSecond: 1e9,
          framesPerSecond: 1e6,
          lostTimeoutSeconds: this.lostTimeoutSeconds,
          receiptsKept: 10_000,
        },
        receiptKey: this.enrolment.receiptKey,
      },
      { random: (target) => void randomFillSync(target) },
    );
    socket.send(handshake.hello.toString());
    socket.once('message', (proof: Buffer) => {
      handshake.readProof(proof);
      if (!handshake.accepts(this.enrolment.key)) {
        socket.close(4401, 'feeder-unauthenticated: the proof does not match');
        return;
      }
      const last = this.#records.at(-1);
      const terms = {
        nextSequence: this.nextSequence,
        lastReceipt: this.keepsReceipts && last !== undefined ? receiptDigest(last.record) : undefined,
        feederClass: 'noise',
        rateUnits: 1024,
      } as const;
      const { message, session } = handshake.welcome(terms);
      socket.send(message.toString());
      this.#begin(new HostLink(socket, session));
    });
  }

  #begin(link: HostLink): void {
    this.#link = link;
    const options = {
      host: this.enrolment.host,
      session: link.session.id,
      feeder: FEEDER,
      feederId: 1,
    };
    const chain = new ReceiptChain(options, { privateKey: this.#receiptKeys.privateKey });
    this.#chain = chain;
    link.socket.on('message', (bytes: Buffer) => {
      // What had come before the cut would still be told.
      if (link.socket.readyState !== link.socket.OPEN) return;
      const frameDigest = createHash('sha256').update(bytes).digest();
      const frame = readFeederFrame(link.session.opener.open(bytes));
      this.nextSequence = frame.sequence + 1;
      this.frames.push(frame.kind);
      this.#take(link, chain, frame, frameDigest);
    });
    if (this.grant !== undefined) link.send(HOST_FRAMES.grant, encodeGrant(this.grant));
  }

  #take(link: HostLink, chain: ReceiptChain, frame: FeederFrame, frameDigest: Buffer): void {
    switch (frame.kind) {
      case 'data':
        return this.#takeData(link, chain, frame, frameDigest);
      case 'ping':
        if (!this.answersPings) return;
        link.send(HOST_FRAMES.pong, encodePong(frame.sequence));
        return link.level(50, this.lostTimeoutSeconds);
      case 'ask': {
        this.asked.push(frame.fromSequence);
        const kept = this.keepsReceipts ? this.#records : [];
        const records = kept.filter(({ sequence }) => sequence >= frame.fromSequence).slice(0, frame.records);
        link.send(HOST_FRAMES.answer, encodeAnswer(records.map(({ record }) => this.alter(record))));
        return;
      }
      case 'close': {
        const end = this.#end(chain);
        if (end !== undefined) link.send(HOST_FRAMES.receipt, end);
        link.close('end');
        return;
      }
    }
  }

  #end(chain: ReceiptChain): Buffer | undefined {
    const record = chain.end(Date.now());
    if (record !== undefined) this.#records.push({ sequence: parseReceipt(record).sequence, record });
    return record;
  }

  #takeData(
    link: HostLink,
    chain: ReceiptChain,
    frame: Extract<FeederFrame, { kind: 'data' }>,
    frameDigest: Buffer,
  ): void {
    const fate = this.fateOf(this.payloads.length);
    this.payloads.push(Buffer.from(frame.payload));
    if (fate === 'swallow') return;
    const isTaken = fate === 'accepted' || fate === 'drop';
    const payloadBytes = frame.payload.length;
    const record = chain.receipt({
      sequence: this.signedSequence(frame.sequence),
      frameDigest: this.signedDigest(frameDigest),
      verdict: fate === 'drop' ? 'accepted' : fate,
      payloadBytes,
      memoryBytes: isTaken ? payloadBytes : 0,
      storedBytes: 0,
      creditUnits: isTaken ? payloadBytes * 1024 : 0,
      timeMs: Date.now(),
    });
    this.#records.push({ sequence: frame.sequence, record });
    if (fate === 'drop') return this.breakOff();
    if (this.sendsReceipts) link.send(HOST_FRAMES.receipt, this.alter(record));
    if (this.#windowFrames === undefined) return;
    link.grant({ ...PLENTY, totalFrames: chain.records + this.#windowFrames });
  }
}

/** One proven connection, as the host has it. */
export class HostLink {
  readonly socket: WebSocket;
  readonly session: FeedSession;

  constructor(socket: WebSocket, session: FeedSession) {
    this.socket = socket;
    this.session = session;
  }

  send(type: number, payload: Uint8Array): void {
    if (this.socket.readyState === this.socket.OPEN)
      this.socket.send(this.session.sealer.seal(type, payload));
  }

  grant(grant: Grant): void {
    this.send(HOST_FRAMES.grant, encodeGrant(grant));
  }

  level(cachedPercent: number, lostTimeoutSeconds = 60): void {
    this.send(
      HOST_FRAMES.level,
      encodeLevel({ level: 'below-watermark', cachedPercent, lostTimeoutSeconds }),
    );
  }

  close(code: CloseReason | ErrorCode): void {
    this.send(HOST_FRAMES.close, encodeClose(code));
  }
}
