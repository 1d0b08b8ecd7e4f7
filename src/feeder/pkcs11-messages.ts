import { KIB } from '../base/units.ts';

/**
 * What the feeder and its PKCS#11 child say to each other over descriptor 3 of the child; its stdout is left to whatever the vendor's
 * library prints. Integers are little-endian.
 *
 *   request  (to the child)    count u32: so many random bytes are wanted, 1 to 65,536
 *   answer   (from the child)  kind u8, length u32, body
 *     login  unasked, right before a PIN is tried: whatever goes wrong from here to `ready` must not be tried again; no body
 *     ready  once, unasked, when token and session stand; no body
 *     bytes  as many as were asked for
 *     error  JSON of Pkcs11Fault; the child ends after it
 *
 * The end of the stream tells the child to end. Descriptor 4 carries nothing: its end tells the child that the feeder is gone, also while a
 * call into the library does not return.
 */
export const CHILD_DESCRIPTOR = 3;
export const LIFELINE_DESCRIPTOR = 4;

export const REQUEST_BYTES = 4;
export const ANSWER_HEADER_BYTES = 5;
export const MAXIMUM_DRAW_BYTES = 64 * KIB;
export const MAXIMUM_FAULT_BYTES = 4 * KIB;

export const ANSWER_KIND = { ready: 0, bytes: 1, error: 2, login: 3 } as const;
export type AnswerKind = keyof typeof ANSWER_KIND;

/** Why the child could not open the token or draw from it. */
export interface Pkcs11Fault {
  readonly code: 'pkcs11-failed' | 'pkcs11-unavailable' | 'key-file-exposed';
  /** For people: method and CKR_ name with its number, never a PIN. */
  readonly detail: string;
  /** Another try would fail as well, or do harm: a token locks itself after a few wrong PINs. */
  readonly final: boolean;
}

const FAULT_CODES: readonly unknown[] = ['pkcs11-failed', 'pkcs11-unavailable', 'key-file-exposed'];

export function encodeRequest(count: number): Uint8Array {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt32LE(count);
  return request;
}

/** The count of a request, or undefined when no child may serve it. */
export function parseRequest(request: Buffer): number | undefined {
  const count = request.readUInt32LE();
  return count >= 1 && count <= MAXIMUM_DRAW_BYTES ? count : undefined;
}

/** Header and body in one buffer; the body is a copy. */
export function encodeAnswer(kind: AnswerKind, body: Uint8Array): Buffer {
  const answer = Buffer.alloc(ANSWER_HEADER_BYTES + body.length);
  answer.writeUInt8(ANSWER_KIND[kind]);
  answer.writeUInt32LE(body.length, 1);
  answer.set(body, ANSWER_HEADER_BYTES);
  return answer;
}

export interface AnswerHeader {
  readonly kind: AnswerKind;
  readonly lengthBytes: number;
}

/** Undefined for what no child of this version sends. */
export function parseAnswerHeader(header: Buffer): AnswerHeader | undefined {
  const code = header.readUInt8();
  const lengthBytes = header.readUInt32LE(1);
  if (code === ANSWER_KIND.ready) return lengthBytes === 0 ? { kind: 'ready', lengthBytes } : undefined;
  if (code === ANSWER_KIND.login) return lengthBytes === 0 ? { kind: 'login', lengthBytes } : undefined;
  if (code === ANSWER_KIND.bytes)
    return lengthBytes <= MAXIMUM_DRAW_BYTES ? { kind: 'bytes', lengthBytes } : undefined;
  if (code === ANSWER_KIND.error)
    return lengthBytes <= MAXIMUM_FAULT_BYTES ? { kind: 'error', lengthBytes } : undefined;
  return undefined;
}

export function encodeFault(fault: Pkcs11Fault): Buffer {
  // JSON writes at most 6 bytes for a UTF-16 unit (\uXXXX); the other fields fit into what is left.
  const detail = fault.detail.slice(0, MAXIMUM_FAULT_BYTES / 8);
  return encodeAnswer('error', Buffer.from(JSON.stringify({ ...fault, detail })));
}

/** Undefined when the body is none. */
export function parseFault(body: Buffer): Pkcs11Fault | undefined {
  try {
    const fault: unknown = JSON.parse(body.toString('utf8'));
    return isFault(fault) ? fault : undefined;
  } catch {
    return undefined;
  }
}

function isFault(value: unknown): value is Pkcs11Fault {
  if (typeof value !== 'object' || value === null) return false;
  if (!('code' in value && 'detail' in value && 'final' in value)) return false;
  return (
    FAULT_CODES.includes(value.code) && typeof value.detail === 'string' && typeof value.final === 'boolean'
  );
}
