/** What a row of the table of errors is, and how it is written. */

export interface ErrorEntry {
  /** HTTP status of an answer that carries this error. */
  readonly http: number;
  /** WebSocket close code: 1xxx from RFC 6455, 4xxx (private use) = 4000 + the HTTP status. */
  readonly webSocketClose: number;
  /** Exit code of a program that ends because of it; see EXIT. */
  readonly exit: number;
  /** True when the same request may succeed later without a change on the caller's side. */
  readonly retryable: boolean;
  /** What happened, in one sentence. */
  readonly meaning: string;
  /** What the reader should do about it. */
  readonly whatToDo: string;
}

/** Exit codes of all programs. 0, 3, 4 and 5 are also what `mixer status` answers. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  degraded: 3,
  gateClosed: 4,
  noDaemon: 5,
  permission: 6,
  stateInUse: 7,
  stateRefused: 8,
  integrity: 9,
  externalDisabled: 10,
  connection: 11,
  authentication: 12,
  input: 13,
  differs: 14,
  zeroized: 15,
  internal: 70,
} as const;

/** The close code follows from the status: 1009 too big, 1011 for what the server got wrong, else 4000 + status. */
export function entry(
  http: number,
  exit: number,
  retryable: boolean,
  meaning: string,
  whatToDo: string,
): ErrorEntry {
  const webSocketClose = http === 413 ? 1009 : http === 500 || http === 502 ? 1011 : 4000 + http;
  return { http, webSocketClose, exit, retryable, meaning, whatToDo };
}
