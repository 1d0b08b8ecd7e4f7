import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import {
  EMPTY_PAYLOAD,
  FEEDER_FRAMES,
  readHostFrame,
  type HostFrame,
} from '../../src/protocol/frame-payloads.ts';
import { FeederHandshake, type FeedSession } from '../../src/protocol/handshake.ts';
import type { Hello, Welcome } from '../../src/protocol/handshake-messages.ts';
import { FEED_SUBPROTOCOL } from '../../src/protocol/limits.ts';
import { publicBytesOf } from '../../src/protocol/raw-keys.ts';
import { parseReceipt, type Receipt } from '../../src/protocol/receipt.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import type { FeedBench } from './feed-bench.ts';

/** The feeder of a feed bench, and entropy for it to send. */

export const random = seededSource('feed bench');

interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A feeder that does what it is told, right or wrong. */
export class FeedClient {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  readonly texts: Buffer[] = [];
  /** Binary messages as they came. */
  readonly raw: Buffer[] = [];
  readonly frames: HostFrame[] = [];
  readonly hellos: Hello[] = [];
  session: FeedSession | undefined;
  welcome: Welcome | undefined;
  readonly #bench: FeedBench;
  readonly #name: string;
  readonly #key: Uint8Array;
  #changed: () => void = () => undefined;

  constructor(
    bench: FeedBench,
    name: string,
    key: Uint8Array,
    options: { headers?: Record<string, string> } = {},
  ) {
    this.#bench = bench;
    this.#name = name;
    this.#key = key;
    this.socket = new WebSocket(bench.url, FEED_SUBPROTOCOL, { perMessageDeflate: false, ...options });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#changed();
      });
    });
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#open(data);
      else this.texts.push(data);
      this.#changed();
    });
  }

  async hello(): Promise<Buffer> {
    await this.until(() => this.texts.length > 0);
    return this.texts[0]!;
  }

  /** Proves the key; `alter` changes the proof message on its way. */
  async handshake(alter: (proof: Buffer) => Buffer = (proof) => proof): Promise<void> {
    const { host, receiptKey } = await this.#bench.admission.identity();
    const shake = new FeederHandshake(
      { feeder: this.#name, key: this.#key, host, receiptKey: publicBytesOf(receiptKey) },
      { random },
    );
    const { hello, proof } = shake.answer(await this.hello());
    this.hellos.push(hello);
    this.socket.send(alter(proof).toString('latin1'));
    await this.until(() => this.texts.length > 1);
    if (this.texts.length < 2) throw new Error(`closed before the welcome: ${(await this.closed).reason}`);
    const { welcome, session } = shake.finish(this.texts[1]!);
    this.welcome = welcome;
    this.session = session;
    for (const message of this.raw.splice(0)) this.#open(message);
  }

  /** Sends a frame of entropy and gives the message as sent. */
  send(payload: Uint8Array, type: number = FEEDER_FRAMES.data): Buffer {
    const message = this.session!.sealer.seal(type, payload);
    this.socket.send(message);
    return message;
  }

  ping(): void {
    this.send(EMPTY_PAYLOAD, FEEDER_FRAMES.ping);
  }

  of<K extends HostFrame['kind']>(kind: K): Extract<HostFrame, { kind: K }>[] {
    return this.frames.filter((frame): frame is Extract<HostFrame, { kind: K }> => frame.kind === kind);
  }

  get receipts(): Receipt[] {
    return this.of('receipt').map(({ record }) => parseReceipt(record));
  }

  async receipt(count = 1): Promise<Receipt[]> {
    await this.until(() => this.of('receipt').length >= count);
    return this.receipts;
  }

  async granted(count = 1): Promise<HostFrame[]> {
    await this.until(() => this.of('grant').length >= count);
    return this.of('grant');
  }

  /** What a client that broke a rule gets told: the session is closed with this code, in words and as a number. */
  async refusedWith(code: string, closeCode: number): Promise<void> {
    const { code: closedWith, reason } = await this.closed;
    assert.is(closedWith, closeCode, reason);
    assert.ok(reason.startsWith(`${code}: `), reason);
  }

  /** Waits until something holds, or the connection is gone. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && this.socket.readyState !== WebSocket.CLOSED) {
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  #open(message: Buffer): void {
    if (this.session === undefined) this.raw.push(message);
    else this.frames.push(readHostFrame(this.session.opener.open(message)));
  }
}

let payloads = 0;

/** Entropy that never came before. */
export function fresh(lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  random(bytes);
  bytes[0] = payloads++ & 0xff;
  return bytes;
}
