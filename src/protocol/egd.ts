import { wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';

/**
 * The EGD protocol, as the entropy gathering daemon defined it and OpenSSL's and GnuPG's clients speak it; integers big-endian.
 *
 *   0                                  →  bits u32: what can be had
 *   1  length u8                       →  length u8 ‖ bytes: what is there, at most so much
 *   2  length u8                       →  bytes: so much, however long it takes
 *   3  bits u16 ‖ length u8 ‖ bytes    →  nothing
 *   4                                  →  length u8 ‖ process id in ASCII
 */
export type EgdCommand =
  | { readonly kind: 'level' }
  | { readonly kind: 'read'; readonly lengthBytes: number; readonly isBlocking: boolean }
  /** The bits are the client's claim. The bytes are the reader's to wipe. */
  | { readonly kind: 'write'; readonly claimedBits: number; readonly bytes: Buffer }
  | { readonly kind: 'pid' };

export const EGD_MAXIMUM_BYTES = 255;

const WRITE_HEADER_BYTES = 4;

/** Takes a stream apart into commands; keeps at most one unfinished command of 259 bytes. */
export class EgdParser {
  #kept: Buffer = Buffer.alloc(0);

  /**
   * The commands that these bytes complete, one by one, so that a reader can wait between them. To be read to its end.
   *
   * @throws EntropyError request-invalid: a command that EGD does not have; nothing after it can be understood
   */
  *commands(chunk: Uint8Array): Generator<EgdCommand, void, undefined> {
    const bytes = Buffer.concat([this.#kept, chunk]);
    this.wipe();
    let offset = 0;
    try {
      for (;;) {
        const rest = bytes.subarray(offset);
        const lengthBytes = commandBytes(rest);
        if (lengthBytes === undefined || lengthBytes > rest.length) break;
        offset += lengthBytes;
        yield commandOf(rest.subarray(0, lengthBytes));
      }
      this.#kept = Buffer.from(bytes.subarray(offset));
    } finally {
      wipe(bytes);
    }
  }

  wipe(): void {
    wipe(this.#kept);
    this.#kept = Buffer.alloc(0);
  }
}

/** Bits that can be had, as the answer to command 0. */
export function encodeEgdLevel(bits: number): Buffer {
  const answer = Buffer.alloc(4);
  answer.writeUInt32BE(Math.min(Math.max(0, Math.floor(bits)), 0xffff_ffff));
  return answer;
}

/** Up to 255 bytes behind their length: the answer to commands 1 and 4. */
export function encodeEgdCounted(bytes: Uint8Array): Buffer {
  if (bytes.length > EGD_MAXIMUM_BYTES) throw new RangeError(`at most ${EGD_MAXIMUM_BYTES} bytes`);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** Length of the command that begins here; undefined while that cannot be told yet. */
function commandBytes(bytes: Buffer): number | undefined {
  const [command] = bytes;
  switch (command) {
    case undefined:
      return undefined;
    case 0:
    case 4:
      return 1;
    case 1:
    case 2:
      return 2;
    case 3:
      return bytes.length < WRITE_HEADER_BYTES ? undefined : WRITE_HEADER_BYTES + bytes.readUInt8(3);
    default:
      throw new EntropyError('request-invalid', `EGD has no command ${command}`);
  }
}

function commandOf(bytes: Buffer): EgdCommand {
  switch (bytes.readUInt8(0)) {
    case 0:
      return { kind: 'level' };
    case 4:
      return { kind: 'pid' };
    case 3:
      return {
        kind: 'write',
        claimedBits: bytes.readUInt16BE(1),
        bytes: Buffer.from(bytes.subarray(WRITE_HEADER_BYTES)),
      };
    default:
      return { kind: 'read', lengthBytes: bytes.readUInt8(1), isBlocking: bytes.readUInt8(0) === 2 };
  }
}
