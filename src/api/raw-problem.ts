import type { Duplex } from 'node:stream';
import type { EntropyError } from '../base/errors.ts';
import { PROBLEM_MEDIA_TYPE, problemOf } from '../contract/problem.ts';
import { problemHeaders } from './problem-headers.ts';

/** Answers where HTTP has no response object (a request that cannot be read, a refused upgrade) and hangs up. */
export function writeRawProblem(socket: Duplex, error: EntropyError): void {
  const body = JSON.stringify(problemOf(error.code, error.message, error.members));
  const head = [
    `HTTP/1.1 ${error.entry.http} ${error.code}`,
    'Connection: close',
    `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(problemHeaders(error)).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
