import { EntropyError, type ErrorCode } from '../base/errors.ts';

/** Format-zero errors of TPM 2.0 (part 2, 6.6.2: RC_VER1), by the low seven bits. */
const GENERAL: Readonly<Record<number, string>> = {
  0x00: 'INITIALIZE',
  0x01: 'FAILURE',
  0x03: 'SEQUENCE',
  0x0b: 'PRIVATE',
  0x19: 'HMAC',
  0x20: 'DISABLED',
  0x21: 'EXCLUSIVE',
  0x24: 'AUTH_TYPE',
  0x25: 'AUTH_MISSING',
  0x26: 'POLICY',
  0x27: 'PCR',
  0x28: 'PCR_CHANGED',
  0x2d: 'UPGRADE',
  0x2e: 'TOO_MANY_CONTEXTS',
  0x2f: 'AUTH_UNAVAILABLE',
  0x30: 'REBOOT',
  0x31: 'UNBALANCED',
  0x42: 'COMMAND_SIZE',
  0x43: 'COMMAND_CODE',
  0x44: 'AUTHSIZE',
  0x45: 'AUTH_CONTEXT',
  0x46: 'NV_RANGE',
  0x47: 'NV_SIZE',
  0x48: 'NV_LOCKED',
  0x49: 'NV_AUTHORIZATION',
  0x4a: 'NV_UNINITIALIZED',
  0x4b: 'NV_SPACE',
  0x4c: 'NV_DEFINED',
  0x50: 'BAD_CONTEXT',
  0x51: 'CPHASH',
  0x52: 'PARENT',
  0x53: 'NEEDS_TEST',
  0x54: 'NO_RESULT',
  0x55: 'SENSITIVE',
};

/** Format-one errors (RC_FMT1), by the low six bits: they name a handle, parameter or session too. */
const PLACED: Readonly<Record<number, string>> = {
  0x01: 'ASYMMETRIC',
  0x02: 'ATTRIBUTES',
  0x03: 'HASH',
  0x04: 'VALUE',
  0x05: 'HIERARCHY',
  0x07: 'KEY_SIZE',
  0x08: 'MGF',
  0x09: 'MODE',
  0x0a: 'TYPE',
  0x0b: 'HANDLE',
  0x0c: 'KDF',
  0x0d: 'RANGE',
  0x0e: 'AUTH_FAIL',
  0x0f: 'NONCE',
  0x10: 'PP',
  0x12: 'SCHEME',
  0x15: 'SIZE',
  0x16: 'SYMMETRIC',
  0x17: 'TAG',
  0x18: 'SELECTOR',
  0x1a: 'INSUFFICIENT',
  0x1b: 'SIGNATURE',
  0x1c: 'KEY',
  0x1d: 'POLICY_FAIL',
  0x1f: 'INTEGRITY',
  0x20: 'TICKET',
  0x21: 'RESERVED_BITS',
  0x22: 'BAD_AUTH',
  0x23: 'EXPIRED',
  0x24: 'POLICY_CC',
  0x25: 'BINDING',
  0x26: 'CURVE',
  0x27: 'ECC_POINT',
};

/** Warnings (RC_WARN), by the low seven bits: the command was right, and may succeed later. */
const WARNINGS: Readonly<Record<number, string>> = {
  0x01: 'CONTEXT_GAP',
  0x02: 'OBJECT_MEMORY',
  0x03: 'SESSION_MEMORY',
  0x04: 'MEMORY',
  0x05: 'SESSION_HANDLES',
  0x06: 'OBJECT_HANDLES',
  0x07: 'LOCALITY',
  0x08: 'YIELDED',
  0x09: 'CANCELED',
  0x0a: 'TESTING',
  0x10: 'REFERENCE_H0',
  0x11: 'REFERENCE_H1',
  0x12: 'REFERENCE_H2',
  0x18: 'REFERENCE_S0',
  0x19: 'REFERENCE_S1',
  0x20: 'NV_RATE',
  0x21: 'LOCKOUT',
  0x22: 'RETRY',
  0x23: 'NV_UNAVAILABLE',
};

/** A response code, taken apart. */
export interface ResponseCode {
  /** As the TPM gave it, 32 bits. */
  readonly value: number;
  /** Without TPM_RC_: `POLICY_FAIL`, or `vendor 0x…`, `unknown 0x…`. */
  readonly name: string;
  /** What it is about: `parameter 1`, `handle 2`, `session 1`, or empty. */
  readonly at: string;
  /** True for a warning: the same command may succeed later. */
  readonly isWarning: boolean;
}

/** Part 2, 6.6.1: bit 7 tells the format; bit 10 a vendor's own code. */
export function decodeResponseCode(value: number): ResponseCode {
  const hexadecimal = `0x${value.toString(16)}`;
  const named = (name: string | undefined, at = '', isWarning = false): ResponseCode => ({
    value,
    name: name ?? `unknown ${hexadecimal}`,
    at,
    isWarning,
  });
  if (value > 0xfff) return named(`resource manager ${hexadecimal}`); // the kernel and tabrmd put their layer there
  if ((value & 0x80) !== 0) return named(PLACED[value & 0x3f], placeOf(value));
  if ((value & 0x100) === 0) return named(`TPM 1.2 ${hexadecimal}`);
  if ((value & 0x400) !== 0) return named(`vendor ${hexadecimal}`);
  if ((value & 0x800) !== 0) return named(WARNINGS[value & 0x7f], '', true);
  return named(GENERAL[value & 0x7f]);
}

function placeOf(value: number): string {
  const number = (value >> 8) & 0xf;
  if ((value & 0x40) !== 0) return `parameter ${number}`;
  return number >= 8 ? `session ${number - 8}` : `handle ${number}`;
}

/** The TPM answered, and the answer is no. Match on `response.name`. */
export class TpmRefusal extends EntropyError {
  readonly command: string;
  readonly response: ResponseCode;

  constructor(command: string, response: ResponseCode) {
    const at = response.at === '' ? '' : ` (${response.at})`;
    const hexadecimal = response.value.toString(16).padStart(3, '0');
    super(codeFor(response), `${command}: TPM_RC_${response.name} 0x${hexadecimal}${at}`);
    this.command = command;
    this.response = response;
  }
}

/** True when a TPM refused for one of these reasons. */
export function isRefusal(error: unknown, ...names: readonly string[]): error is TpmRefusal {
  return error instanceof TpmRefusal && names.includes(error.response.name);
}

function codeFor(response: ResponseCode): ErrorCode {
  if (response.name === 'LOCKOUT') return 'tpm-lockout';
  if (response.name === 'NV_SPACE') return 'tpm-nv-full';
  // Our own authorizations are all empty: the hierarchy has been given one.
  if (response.name === 'BAD_AUTH' || response.name === 'AUTH_FAIL') return 'tpm-owned';
  return 'tpm-refused';
}
