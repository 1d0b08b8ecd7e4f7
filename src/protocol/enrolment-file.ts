import { secretBytes, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { FEEDER_NAME_PATTERN, HOST_ID_BYTES, KEY_BYTES } from './limits.ts';

/**
 * What the host's operator hands to a feeder: six lines of ASCII, each ended by a line feed.
 *
 *   entropy-feed enrolment v1
 *   url ws://127.0.0.1:8740/v1/feed
 *   host <32 hexadecimal digits>
 *   feeder <name>
 *   receipt-key <64 hexadecimal digits>
 *   key <64 hexadecimal digits>
 *
 * The key is read and written byte by byte: as a string it could never be overwritten.
 */
export interface Enrolment {
  /** ws: or wss:, without user, password and fragment. */
  readonly url: string;
  readonly host: Buffer;
  readonly feeder: string;
  /** Ed25519 public key of the host's receipts, 32 bytes. */
  readonly receiptKey: Buffer;
  /** 32 secret bytes, the owner's to wipe. */
  readonly key: Buffer;
}

export const ENROLMENT_MAXIMUM_BYTES = 4096;
const TITLE = 'entropy-feed enrolment v1';
const KEY_PREFIX = Buffer.from('key ', 'latin1');
const LINE_FEED = 0x0a;
/** Printable ASCII without space: what a URL has when it is written out. */
const URL_PATTERN = /^[!-~]{1,2048}$/;

/** The whole file, for the caller to write with mode 0600, and to wipe. RangeError for what does not fit the format. */
export function encodeEnrolment(enrolment: Enrolment): Buffer {
  const { url, host, feeder, receiptKey, key } = enrolment;
  if (!isFeedUrl(url) || !FEEDER_NAME_PATTERN.test(feeder))
    throw new RangeError('no URL or name of a feeder');
  if (host.length !== HOST_ID_BYTES || receiptKey.length !== KEY_BYTES || key.length !== KEY_BYTES)
    throw new RangeError('host id or key of a wrong length');
  const open = `${TITLE}\nurl ${url}\nhost ${host.toString('hex')}\nfeeder ${feeder}\nreceipt-key ${receiptKey.toString('hex')}\n`;
  const openBytes = Buffer.from(open, 'latin1');
  const file = Buffer.alloc(openBytes.length + KEY_PREFIX.length + 2 * KEY_BYTES + 1);
  openBytes.copy(file);
  KEY_PREFIX.copy(file, openBytes.length);
  hexInto(file.subarray(openBytes.length + KEY_PREFIX.length), key);
  file[file.length - 1] = LINE_FEED;
  return file;
}

/** Throws `enrolment-invalid`, naming the line and never its content. The file's bytes stay the caller's to wipe. */
export function parseEnrolment(file: Uint8Array): Enrolment {
  if (file.length > ENROLMENT_MAXIMUM_BYTES) throw invalid('it is too long');
  const lines = linesOf(Buffer.from(file.buffer, file.byteOffset, file.length));
  const [title, url, host, feeder, receiptKey, key] = lines;
  if (lines.length !== 6 || title?.toString('latin1') !== TITLE) throw invalid('it is not an enrolment, v1');
  return {
    url: textOf(url, 'url', isFeedUrl),
    host: hexOf(host, 'host', HOST_ID_BYTES),
    feeder: textOf(feeder, 'feeder', (name) => FEEDER_NAME_PATTERN.test(name)),
    receiptKey: hexOf(receiptKey, 'receipt-key', KEY_BYTES),
    key: hexOf(key, 'key', KEY_BYTES),
  };
}

function isFeedUrl(text: string): boolean {
  if (!URL_PATTERN.test(text) || !URL.canParse(text)) return false;
  const { protocol, username, password, hash } = new URL(text);
  return ['ws:', 'wss:'].includes(protocol) && username === '' && password === '' && hash === '';
}

/** Views of the lines without their ends. What follows the last line feed is not one: the file was cut off. */
function linesOf(file: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = file.indexOf(LINE_FEED); end >= 0; end = file.indexOf(LINE_FEED, start)) {
    lines.push(file.subarray(start, end));
    start = end + 1;
  }
  if (start !== file.length) throw invalid('its last line does not end');
  return lines;
}

function valueOf(line: Buffer | undefined, name: string): Buffer {
  const prefix = Buffer.from(`${name} `, 'latin1');
  if (line?.subarray(0, prefix.length).equals(prefix) !== true)
    throw invalid(`there is no ${name} in its place`);
  return line.subarray(prefix.length);
}

function textOf(line: Buffer | undefined, name: string, fits: (text: string) => boolean): string {
  const text = valueOf(line, name).toString('latin1');
  if (!fits(text)) throw invalid(`its ${name} does not fit`);
  return text;
}

function hexOf(line: Buffer | undefined, name: string, lengthBytes: number): Buffer {
  const digits = valueOf(line, name);
  const bytes = secretBytes(lengthBytes);
  const isHex = digits.length === 2 * lengthBytes && bytesInto(bytes, digits);
  if (isHex) return bytes;
  wipe(bytes);
  throw invalid(`its ${name} is not ${2 * lengthBytes} lower-case hexadecimal digits`);
}

/** Two digits a byte, without a table that the cache would tell of. */
function hexInto(target: Uint8Array, bytes: Uint8Array): void {
  bytes.forEach((byte, index) => {
    target[2 * index] = digitOf(byte >> 4);
    target[2 * index + 1] = digitOf(byte & 15);
  });
}

/** False when a digit is not one; all of them are read either way. */
function bytesInto(target: Uint8Array, digits: Uint8Array): boolean {
  let wrong = 0;
  for (let index = 0; index < target.length; index++) {
    const high = nibbleOf(digits[2 * index] ?? 0);
    const low = nibbleOf(digits[2 * index + 1] ?? 0);
    wrong |= high | low;
    target[index] = ((high & 15) << 4) | (low & 15);
  }
  return wrong >= 0;
}

/** 0-9 are 0x30 on, a-f 0x61 on: 39 further than the digits would go. */
function digitOf(nibble: number): number {
  return 0x30 + nibble + (39 & ((9 - nibble) >> 31));
}

/** 0 to 15, or -1, without a branch on the digit. */
function nibbleOf(digit: number): number {
  const decimal = maskWithin(digit, 0x30, 0x39);
  const letter = maskWithin(digit, 0x61, 0x66);
  return (decimal & (digit - 0x30)) | (letter & (digit - 0x57)) | ~(decimal | letter);
}

/** -1 (all bits) when within, else 0. */
function maskWithin(value: number, minimum: number, maximum: number): number {
  return ~((value - minimum) | (maximum - value)) >> 31;
}

function invalid(why: string): EntropyError {
  return new EntropyError('enrolment-invalid', `the enrolment file does not fit: ${why}`);
}
