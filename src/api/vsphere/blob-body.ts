import { secretBytes, wipe } from '../../base/bytes.ts';

/** JSON with entropy in it: the base64 is decoded from the bytes of the body, so that it never becomes a string. */

export interface BlobBody {
  /** The document, with BLOB in the place of each blob. */
  readonly json: unknown;
  /** Decodes the last blob, which takes its time: for whoever has proved who he is. Undefined when there is none, or it is no base64. */
  readonly decode: () => Buffer | undefined;
}

/** Stands where a blob was. No document can hold it: each value under a key of BLOB_KEYS is replaced. */
export const BLOB = '@blob';
/** All but the blob is small: a parser may take minutes for megabytes of brackets, and a stranger may send them. */
const MAXIMUM_TEXT_CHARACTERS = 65_536;

/** `data` is the field of the request, `BINARY` what the JSON-RPC form wraps bytes in (`BLOB` in some descriptions of it). */
const BLOB_KEYS: ReadonlySet<string> = new Set(['data', 'BINARY', 'BLOB']);
const LONGEST_KEY_BYTES = 8;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const BLANKS: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** A JSON document with entropy in it. What is decoded is the caller's to wipe, and so is the body. Throws SyntaxError for what is no JSON. */
export function readBlobBody(body: Buffer): BlobBody {
  let text = '';
  let copiedTo = 0;
  let key = '';
  let digits: Buffer | undefined;
  for (let at = body.indexOf(QUOTE); at >= 0; at = body.indexOf(QUOTE, at)) {
    const end = closingQuote(body, at + 1);
    const isKey = nextByte(body, end + 1) === COLON;
    if (isKey) {
      const length = end - at - 1;
      key = length <= LONGEST_KEY_BYTES ? body.toString('latin1', at + 1, end) : '';
    } else if (BLOB_KEYS.has(key)) {
      text += `${textOf(body, copiedTo, at)}"${BLOB}"`;
      digits = body.subarray(at + 1, end);
      copiedTo = end + 1;
      key = '';
    }
    at = end + 1;
  }
  text += textOf(body, copiedTo, body.length);
  if (text.length > MAXIMUM_TEXT_CHARACTERS) throw tooMuch();
  try {
    return {
      json: JSON.parse(text) as unknown,
      decode: () => (digits === undefined ? undefined : decodeBase64(digits)),
    };
  } catch {
    throw new SyntaxError('the body is not JSON');
  }
}

/** What stands around the blobs. */
function textOf(body: Buffer, from: number, to: number): string {
  if (to - from > 4 * MAXIMUM_TEXT_CHARACTERS) throw tooMuch();
  return body.toString('utf8', from, to);
}

function tooMuch(): SyntaxError {
  return new SyntaxError(`beside the entropy the body has over ${MAXIMUM_TEXT_CHARACTERS} characters`);
}

function closingQuote(body: Buffer, from: number): number {
  for (let at = from; at < body.length; at++) {
    if (body[at] === BACKSLASH) at++;
    else if (body[at] === QUOTE) return at;
  }
  throw new SyntaxError('a string has no end');
}

function nextByte(body: Buffer, from: number): number | undefined {
  let at = from;
  while (BLANKS.has(body[at])) at++;
  return body[at];
}

const PADDING = 0x3d;
const SLASH = 0x2f;
const NOT_BASE64 = 0xff;
const SEXTETS = sextets();

function sextets(): Uint8Array {
  const table = new Uint8Array(256).fill(NOT_BASE64);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let value = 0; value < alphabet.length; value++) table[alphabet.charCodeAt(value)] = value;
  return table;
}

/**
 * RFC 4648 section 4, with padding or without; `\/` is JSON's other spelling of `/`. Undefined for anything else. What a character is
 * looked up by is secret, and so is the place in the table: the processor's caches could tell, and are trusted as far as this process is.
 */
function decodeBase64(digits: Uint8Array): Buffer | undefined {
  const bytes = secretBytes(Math.floor((digits.length * 3) / 4) + 3);
  let [length, bits, held, padding] = [0, 0, 0, 0];
  for (let at = 0; at < digits.length; at++) {
    let digit = digits[at] ?? 0;
    if (digit === BACKSLASH && digits[at + 1] === SLASH) digit = digits[++at] ?? 0;
    if (digit === PADDING) {
      padding++;
      continue;
    }
    const value = SEXTETS[digit] ?? NOT_BASE64;
    if (value === NOT_BASE64 || padding > 0) {
      wipe(bytes);
      return undefined;
    }
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[length++] = (held >> bits) & 0xff;
  }
  // Six bits left over are a digit alone, and what is left of a last byte is 0.
  const isWhole = bits < 6 && (held & ((1 << bits) - 1)) === 0 && (padding === 0 || padding === bits / 2);
  const exact = isWhole ? secretBytes(length) : undefined;
  if (exact !== undefined) bytes.copy(exact, 0, 0, length);
  wipe(bytes);
  return exact;
}
