import { wipe } from './bytes.ts';

/**
 * Base64 (RFC 4648 section 4) from bytes to bytes, piece by piece: what is secret never becomes a string, which nobody could
 * overwrite. The decoder is strict: no character outside the alphabet, all padding, and unused bits zero.
 */

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const PADDING = 0x3d;
const OUTSIDE = 255;
/** Six bits by character. */
const VALUES = new Uint8Array(256).fill(OUTSIDE);
ALPHABET.forEach((character, value) => (VALUES[character] = value));

/** Bytes of the base64 of so many bytes. */
export function base64Length(lengthBytes: number): number {
  return 4 * Math.ceil(lengthBytes / 3);
}

/** Encodes into the start of a target with room for base64Length(bytes.length); gives how much that was. */
export function encodeBase64(bytes: Uint8Array, target: Uint8Array): number {
  const length = base64Length(bytes.length);
  if (target.length < length) throw new RangeError('the target is too small for the base64 of these bytes');
  let at = 0;
  for (let from = 0; from < bytes.length; from += 3) {
    const group = ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    for (let shift = 18; shift >= 0; shift -= 6) target[at++] = ALPHABET[(group >> shift) & 63] ?? 0;
  }
  for (let left = (3 - (bytes.length % 3)) % 3; left > 0; left--) target[length - left] = PADDING;
  return length;
}

/** What is wrong with base64. */
export type Base64Fault =
  | 'holds a character that is not base64'
  | 'has padding where none belongs'
  | 'goes on behind its padding'
  | 'ends in the midst of a group of four characters'
  | 'has bits set that no byte uses'
  | 'is too long';

const FIRST_ROOM_BYTES = 1024;

/** Decodes character by character, into a buffer that grows up to a limit and leaves nothing behind where it stood before. */
export class Base64Decoder {
  readonly #maximumBytes: number;
  #bytes = new Uint8Array(0);
  #length = 0;
  #group = 0;
  #inGroup = 0;
  #padding = 0;

  constructor(options: { readonly maximumBytes: number }) {
    this.#maximumBytes = options.maximumBytes;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Takes one character; what is wrong with it, or undefined. */
  push(character: number): Base64Fault | undefined {
    if (character === PADDING) return this.#pad();
    const value = VALUES[character] ?? OUTSIDE;
    if (value === OUTSIDE) return 'holds a character that is not base64';
    if (this.#padding > 0) return 'goes on behind its padding';
    this.#group = (this.#group << 6) | value;
    this.#inGroup++;
    return this.#inGroup === 4 ? this.#put(3) : undefined;
  }

  /** What is wrong with the end; undefined when it may end here. */
  end(): Base64Fault | undefined {
    return this.#inGroup === 0 ? undefined : 'ends in the midst of a group of four characters';
  }

  /** The bytes in a buffer of their own, the caller's to wipe; the decoder holds nothing any more. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#length);
    this.wipe();
    return taken;
  }

  wipe(): void {
    wipe(this.#bytes);
    this.#length = 0;
    this.#group = 0;
    this.#inGroup = 0;
  }

  /** One or two characters of padding stand for 6 or 12 bits that are missing from the last group. */
  #pad(): Base64Fault | undefined {
    this.#padding++;
    if (this.#inGroup < 2) return 'has padding where none belongs';
    if (this.#inGroup + this.#padding < 4) return undefined;
    const unusedBits = 6 * this.#inGroup - 8 * (this.#inGroup - 1);
    if ((this.#group & ((1 << unusedBits) - 1)) !== 0) return 'has bits set that no byte uses';
    this.#group <<= 6 * (4 - this.#inGroup);
    return this.#put(this.#inGroup - 1);
  }

  #put(count: number): Base64Fault | undefined {
    if (this.#length + count > this.#maximumBytes) return 'is too long';
    if (this.#length + count > this.#bytes.length) this.#grow();
    for (let shift = 16; shift > 16 - 8 * count; shift -= 8)
      this.#bytes[this.#length++] = (this.#group >> shift) & 255;
    this.#group = 0;
    this.#inGroup = 0;
    return undefined;
  }

  #grow(): void {
    const before = this.#bytes;
    const room = Math.max(FIRST_ROOM_BYTES, 2 * before.length);
    this.#bytes = new Uint8Array(Math.min(room, this.#maximumBytes));
    this.#bytes.set(before);
    wipe(before);
  }
}
