import { ERRORS, type ErrorCode, type ErrorEntry } from './error-table.ts';

export { ERRORS, EXIT, type ErrorCode, type ErrorEntry } from './error-table.ts';

/**
 * Errors come in three classes, never mixed:
 *   programmer error    TypeError, RangeError: a caller broke a documented rule of an interface;
 *   operational error   EntropyError with a code of error-table.ts: expected, told, acted on;
 *   broken invariant    any other Error: the process ends.
 * Match on `code`, never on the message.
 */

/** What a program reads beside code and detail, such as `retryAfterSeconds`; named values without secrets. */
export type ErrorMembers = Readonly<Record<string, string | number | boolean | null>>;

export interface EntropyErrorOptions {
  readonly cause?: unknown;
  readonly members?: ErrorMembers;
}

/** An operational error: a stable code, and a detail for people that never carries a secret or payload. */
export class EntropyError extends Error {
  override readonly name = 'EntropyError';
  readonly code: ErrorCode;
  readonly members: ErrorMembers;

  constructor(code: ErrorCode, detail: string, { members = {}, ...options }: EntropyErrorOptions = {}) {
    super(detail, options);
    this.code = code;
    this.members = members;
  }

  get entry(): ErrorEntry {
    return ERRORS[this.code];
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** True for an EntropyError of one of these codes; true for any EntropyError when none is named. */
export function isEntropyError(error: unknown, ...codes: readonly ErrorCode[]): error is EntropyError {
  return error instanceof EntropyError && (codes.length === 0 || codes.includes(error.code));
}

/** The message of whatever was thrown, for a log line or an error's detail. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name (ENOENT, EACCES …) of a Node system error, if it is one. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
