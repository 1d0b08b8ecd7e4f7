/**
 * The process that holds a vendor's PKCS#11 library: it may block, crash or print, and the feeder lives on. The only file that loads
 * pkcs11js. Speaks pkcs11-messages.ts on descriptor 3, one request at a time, and ends when that does.
 *
 * Arguments: MODULE TOKEN [PIN-FILE]. The PIN itself is in neither arguments nor environment.
 */
import { readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { isMainThread, Worker } from 'node:worker_threads';
import { wipe } from '../base/bytes.ts';
import { EXIT, messageOf } from '../base/errors.ts';
import {
  CHILD_DESCRIPTOR,
  encodeAnswer,
  encodeFault,
  LIFELINE_DESCRIPTOR,
  MAXIMUM_DRAW_BYTES,
  parseRequest,
  type Pkcs11Fault,
  REQUEST_BYTES,
} from './pkcs11-messages.ts';
import { faultOf, Pkcs11Token } from './pkcs11-token.ts';

if (isMainThread) await main();
else endWithFeeder();

async function main(): Promise<void> {
  try {
    const [module = '', token = '', pinFile] = process.argv.slice(2);
    // A thread of its own: the library blocks this one for as long as it likes.
    new Worker(new URL(import.meta.url)).unref();
    const pkcs11js = await loadPkcs11js();
    if (pkcs11js === undefined) return;
    const session = new Pkcs11Token({ module, token, pinFile }, pkcs11js, () => tell('login'));
    tell('ready');
    serve(session);
    session.close();
  } catch (error) {
    fail(faultOf(error));
  }
}

/** The thread beside: kills this process, and whatever the library started with it, when the feeder is gone. */
function endWithFeeder(): void {
  const lifeline = new Socket({ fd: LIFELINE_DESCRIPTOR, readable: true, writable: false });
  lifeline.on('error', () => undefined);
  lifeline.on('close', () => process.kill(-process.pid, 'SIGKILL'));
  lifeline.resume();
}

/** An optional dependency: without a compiler at install time it is not there. */
async function loadPkcs11js(): Promise<typeof import('pkcs11js') | undefined> {
  try {
    return (await import('pkcs11js')).default;
  } catch (error) {
    fail({ code: 'pkcs11-unavailable', detail: firstLine(messageOf(error)), final: true });
    return undefined;
  }
}

function serve(session: Pkcs11Token): void {
  const bytes = Buffer.alloc(MAXIMUM_DRAW_BYTES);
  const request = Buffer.alloc(REQUEST_BYTES);
  while (readWhole(request)) {
    const count = parseRequest(request);
    if (count === undefined) return;
    const wanted = bytes.subarray(0, count);
    session.fill(wanted);
    const message = encodeAnswer('bytes', wanted);
    answer(message);
    wipe(wanted);
    wipe(message);
  }
}

/** False at the end of the stream: the feeder has closed it, or is gone. */
function readWhole(target: Buffer): boolean {
  for (let length = 0; length < target.length;) {
    const count = readSync(CHILD_DESCRIPTOR, target, length, target.length - length, null);
    if (count === 0) return false;
    length += count;
  }
  return true;
}

function tell(kind: 'login' | 'ready'): void {
  answer(encodeAnswer(kind, new Uint8Array(0)));
}

function answer(message: Buffer): void {
  for (let sent = 0; sent < message.length;) {
    sent += writeSync(CHILD_DESCRIPTOR, message, sent, message.length - sent);
  }
}

function fail(fault: Pkcs11Fault): void {
  process.exitCode = EXIT.input;
  try {
    answer(encodeFault(fault));
  } catch {
    // The feeder is gone: nobody is left to be told.
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
