import { constants, endianness } from 'node:os';
import { secretBytes } from '../base/bytes.ts';

/**
 * What goes over the socket to kernel-writer; native/kernel-writer.c is the other end. In this host's byte order.
 *
 *   request  magic u32 | operation u32 | bytes u32 | creditBits u32 | bytes x u8
 *   reply    magic u32 | operation u32 | errno i32 | entropyBefore i32 | entropyAfter i32
 */
export const MAGIC = 0x31574b45;
const LITTLE_ENDIAN = endianness() === 'LE';
export const REQUEST_HEADER_BYTES = 16;
export const REPLY_BYTES = 20;

/** The kernel may mix a longer chunk in part: it looks for signals at each page. */
export const CHUNK_LIMIT_BYTES = 4096;

export const OPERATIONS = { add: 1, reseed: 2, query: 3 } as const;
export type Operation = (typeof OPERATIONS)[keyof typeof OPERATIONS];

export interface KernelReply {
  /** Empty when done, else the errno's name: EPERM without CAP_SYS_ADMIN, ENODATA for a reseed before initialisation. */
  readonly error: string;
  /** The kernel's own count (RNDGETENTCNT) around the request, in bits: 256 for ever once initialised; -1 when unknown. */
  readonly entropyBeforeBits: number;
  readonly entropyAfterBits: number;
}

/** The frame of a request, with a copy of the payload. Whoever sends it wipes it. */
export function encodeRequest(operation: Operation, payload: Uint8Array, creditBits: number): Uint8Array {
  const frame = secretBytes(REQUEST_HEADER_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC, LITTLE_ENDIAN);
  view.setUint32(4, operation, LITTLE_ENDIAN);
  view.setUint32(8, payload.length, LITTLE_ENDIAN);
  view.setUint32(12, creditBits, LITTLE_ENDIAN);
  frame.set(payload, REQUEST_HEADER_BYTES);
  return frame;
}

/** undefined when it is no answer to this operation. */
export function decodeReply(bytes: Uint8Array, operation: Operation): KernelReply | undefined {
  if (bytes.length !== REPLY_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const errno = view.getInt32(8, LITTLE_ENDIAN);
  if (
    view.getUint32(0, LITTLE_ENDIAN) !== MAGIC ||
    view.getUint32(4, LITTLE_ENDIAN) !== operation ||
    errno < 0
  )
    return undefined;
  return {
    error: errnoName(errno),
    entropyBeforeBits: view.getInt32(12, LITTLE_ENDIAN),
    entropyAfterBits: view.getInt32(16, LITTLE_ENDIAN),
  };
}

/** EPERM for 1; empty for 0. Where two names share a number, Node's first. */
export function errnoName(errno: number): string {
  if (errno === 0) return '';
  const known = Object.entries(constants.errno).find(([, value]) => value === errno);
  return known?.[0] ?? `errno ${errno}`;
}
