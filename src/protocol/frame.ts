import { createCipheriv, createDecipheriv } from 'node:crypto';
import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import {
  FRAME_HEADER_BYTES,
  FRAME_OVERHEAD_BYTES,
  FRAME_TAG_BYTES,
  KEY_BYTES,
  MESSAGE_MAXIMUM_BYTES,
  PAYLOAD_MAXIMUM_BYTES,
  SESSION_MAXIMUM_BYTES,
} from './limits.ts';

/**
 * One frame, one binary WebSocket message; integers big-endian:
 *
 *    0  type u8
 *    1  sequence u64       exactly the last plus one, whatever the type; below 2^53
 *    9  ciphertext         0 to 65,536 bytes
 *       tag                16
 *
 * AES-256-GCM (SP 800-38D); nonce = 4 zero bytes ‖ sequence, associated data = the 9 header bytes. A key serves one direction of one
 * session, so no nonce comes twice.
 */
const GCM_OPTIONS = { authTagLength: FRAME_TAG_BYTES } as const;

export interface OpenedFrame {
  readonly type: number;
  readonly sequence: number;
  /** The whole of its own ArrayBuffer, so it can be moved to another thread; whoever takes it wipes it. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

export interface FrameKey {
  /** 32 secret bytes; taken over and wiped at the end. */
  readonly key: Buffer;
  /** Sequence of the first frame, 1 to 2^53 - 1. */
  readonly firstSequence: number;
  /** Payload that the key may carry; SESSION_MAXIMUM_BYTES, when nothing else is said. */
  readonly maximumBytes?: number;
}

/** Makes the frames of one direction. */
export class FrameSealer {
  readonly #state: DirectionState;

  constructor(options: FrameKey) {
    this.#state = new DirectionState(options);
  }

  get nextSequence(): number {
    return this.#state.nextSequence;
  }

  /**
   * The message to send. The payload stays the caller's to wipe.
   *
   * @throws EntropyError feed-connection-lost: the session has ended, or has carried as much as one key may
   */
  seal(type: number, payload: Uint8Array): Buffer {
    if (payload.length > PAYLOAD_MAXIMUM_BYTES)
      throw new RangeError(`a frame carries at most ${PAYLOAD_MAXIMUM_BYTES} bytes`);
    const state = this.#state;
    state.assertUsable(payload.length);
    // Every byte of it is written below.
    const frame = Buffer.from(new ArrayBuffer(FRAME_OVERHEAD_BYTES + payload.length));
    const header = frame.subarray(0, FRAME_HEADER_BYTES);
    header.writeUInt8(type);
    header.writeBigUInt64BE(BigInt(state.nextSequence), 1);
    const cipher = createCipheriv('aes-256-gcm', state.key, nonceOf(header), GCM_OPTIONS);
    cipher.setAAD(header);
    frame.set(cipher.update(payload), FRAME_HEADER_BYTES);
    cipher.final();
    frame.set(cipher.getAuthTag(), FRAME_HEADER_BYTES + payload.length);
    state.count(payload.length);
    return frame;
  }

  wipe(): void {
    this.#state.wipe();
  }
}

/** Opens the frames of one direction. After the first that it refuses it opens no other. */
export class FrameOpener {
  readonly #state: DirectionState;

  constructor(options: FrameKey) {
    this.#state = new DirectionState(options);
  }

  /** Sequence of the last frame that was opened; one less than the first before there was any. */
  get lastSequence(): number {
    return this.#state.nextSequence - 1;
  }

  /**
   * Nothing of a frame is believed before its tag is: an altered header is `feed-frame-unauthentic`, and only an authentic frame out
   * of its place is `feed-sequence-wrong`.
   *
   * @throws EntropyError feed-frame-invalid, feed-frame-unauthentic, feed-sequence-wrong, feed-connection-lost
   */
  open(message: Uint8Array): OpenedFrame {
    const state = this.#state;
    state.assertUsable(Math.max(0, message.length - FRAME_OVERHEAD_BYTES));
    try {
      const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
      if (bytes.length < FRAME_OVERHEAD_BYTES || bytes.length > MESSAGE_MAXIMUM_BYTES)
        throw new EntropyError('feed-frame-invalid', `a frame of ${bytes.length} bytes`);
      const payload = this.#decrypted(bytes);
      const sequence = Number(bytes.readBigUInt64BE(1));
      if (sequence !== state.nextSequence) {
        wipe(payload);
        throw new EntropyError('feed-sequence-wrong', `sequence ${sequence}, expected ${state.nextSequence}`);
      }
      state.count(payload.length);
      return { type: bytes.readUInt8(0), sequence, payload };
    } catch (error) {
      this.wipe();
      throw error;
    }
  }

  wipe(): void {
    this.#state.wipe();
  }

  #decrypted(bytes: Buffer): Uint8Array<ArrayBuffer> {
    const header = bytes.subarray(0, FRAME_HEADER_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#state.key, nonceOf(header), GCM_OPTIONS);
    decipher.setAAD(header);
    decipher.setAuthTag(bytes.subarray(-FRAME_TAG_BYTES));
    const payload = whole(decipher.update(bytes.subarray(FRAME_HEADER_BYTES, -FRAME_TAG_BYTES)));
    try {
      decipher.final();
    } catch (error) {
      wipe(payload);
      throw new EntropyError('feed-frame-unauthentic', 'the tag does not match', { cause: error });
    }
    return payload;
  }
}

/** Key, sequence and volume of one direction. */
class DirectionState {
  readonly key: Buffer;
  nextSequence: number;
  #leftBytes: number;
  #ended = false;

  constructor({ key, firstSequence, maximumBytes = SESSION_MAXIMUM_BYTES }: FrameKey) {
    if (key.length !== KEY_BYTES) throw new RangeError(`a session key has ${KEY_BYTES} bytes`);
    if (!Number.isSafeInteger(firstSequence) || firstSequence < 1)
      throw new RangeError('a sequence is a whole number from 1');
    this.key = key;
    this.nextSequence = firstSequence;
    this.#leftBytes = maximumBytes;
  }

  /** A wiped key is all zero: nothing must ever be sealed or opened under it. */
  assertUsable(payloadBytes: number): void {
    if (this.#ended) throw new EntropyError('feed-connection-lost', 'the session has ended');
    const isSpent = payloadBytes > this.#leftBytes || !Number.isSafeInteger(this.nextSequence);
    if (isSpent) throw new EntropyError('feed-connection-lost', 'the keys of the session are used up');
  }

  count(payloadBytes: number): void {
    this.nextSequence++;
    this.#leftBytes -= payloadBytes;
  }

  wipe(): void {
    this.#ended = true;
    wipe(this.key);
  }
}

function nonceOf(header: Buffer): Buffer {
  const nonce = Buffer.alloc(12);
  header.copy(nonce, 4, 1);
  return nonce;
}

/** Node gives each decrypted message a buffer of its own; should that change, this copies, and leaves nothing behind. */
function whole(bytes: Buffer): Uint8Array<ArrayBuffer> {
  if (bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength === bytes.length)
    return new Uint8Array(bytes.buffer);
  const copy = new Uint8Array(bytes);
  wipe(bytes);
  return copy;
}
