import { EntropyError } from '../base/errors.ts';

/** Builds big-endian TPM structures. */
export class TpmWriter {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.raw(Buffer.of(value));
  }

  u16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeUInt16BE(value);
    return this.raw(part);
  }

  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value >>> 0);
    return this.raw(part);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return this;
  }

  /** A TPM2B: size u16 ‖ bytes. */
  sized(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Reads big-endian TPM structures. Whatever would go beyond the end is `tpm-protocol`; nothing is read past it. */
export class TpmReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.raw(1).readUInt8();
  }

  u16(): number {
    return this.raw(2).readUInt16BE();
  }

  u32(): number {
    return this.raw(4).readUInt32BE();
  }

  u64(): bigint {
    return this.raw(8).readBigUInt64BE();
  }

  /** A view of the next bytes, not a copy. */
  raw(lengthBytes: number): Buffer {
    const end = this.#at + lengthBytes;
    if (end > this.#bytes.length) throw malformed('ends early');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** A TPM2B of at most so many bytes. */
  sized(maximumBytes: number): Buffer {
    const lengthBytes = this.u16();
    if (lengthBytes > maximumBytes) throw malformed('has a part that is too long');
    return this.raw(lengthBytes);
  }

  /** A count of at most so many. */
  count(maximum: number): number {
    const value = this.u32();
    if (value > maximum) throw malformed('has too many parts');
    return value;
  }

  rest(): Buffer {
    return this.raw(this.#bytes.length - this.#at);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed('goes on behind its end');
  }
}

export function malformed(what: string): EntropyError {
  return new EntropyError('tpm-protocol', `what the TPM said ${what}`);
}
