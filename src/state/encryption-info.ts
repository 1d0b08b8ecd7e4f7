import { EntropyError } from '../base/errors.ts';

/**
 * `encryption.info`: what is needed to get at the archive key, as a text dictionary of `key = "value"` lines, the
 * way ESXi keeps it. It holds no secret by itself; in mode NONE it suffices to open the archive, which is why that
 * mode is called obfuscation. The fields beyond these four belong to the mode.
 *
 *   .encoding = "UTF-8"
 *   version = "1"
 *   mode = "NONE"
 *   keyId = "<32 hexadecimal digits>"
 */
export interface EncryptionInfo {
  readonly mode: string;
  /** Names the archive key; 16 bytes. */
  readonly keyId: Buffer;
  readonly fields: ReadonlyMap<string, string>;
}

const VERSION = '1';
const ENCODING = 'UTF-8';
export const MAXIMUM_INFO_BYTES = 65_536;
const MAXIMUM_LINES = 64;
/** Printable ASCII without quote and backslash: nothing to escape, nothing to get wrong. */
const LINE_PATTERN = /^(\.?[A-Za-z][A-Za-z0-9.]{0,63}) = "([ !#-[\]-~]{0,8192})"$/;
const VERSION_PATTERN = /^[1-9][0-9]{0,8}$/;
const MODE_PATTERN = /^[A-Z]{1,16}$/;
const KEY_ID_PATTERN = /^[0-9a-f]{32}$/;

export function encodeEncryptionInfo(info: EncryptionInfo): Buffer {
  const entries: [string, string][] = [
    ['.encoding', ENCODING],
    ['version', VERSION],
    ['mode', info.mode],
    ['keyId', info.keyId.toString('hex')],
    ...info.fields,
  ];
  const bytes = Buffer.from(entries.map(([key, value]) => `${key} = "${value}"\n`).join(''));
  parseEncryptionInfo(bytes);
  return bytes;
}

/** Strict: an unknown shape, a key given twice or a missing one is `state-damaged`; a later version `state-version-newer`. */
export function parseEncryptionInfo(bytes: Uint8Array): EncryptionInfo {
  const fields = parseLines(bytes);
  const take = (key: string, pattern: RegExp): string => {
    const value = fields.get(key) ?? '';
    if (!pattern.test(value)) throw damaged(`has no valid ${key}`);
    fields.delete(key);
    return value;
  };
  const version = take('version', VERSION_PATTERN);
  if (version !== VERSION)
    throw new EntropyError('state-version-newer', `encryption.info has version ${version}`);
  take('.encoding', /^UTF-8$/);
  const mode = take('mode', MODE_PATTERN);
  return { mode, keyId: Buffer.from(take('keyId', KEY_ID_PATTERN), 'hex'), fields };
}

/** A field of bytes in canonical base64, of exactly or at most the given length. */
export function bytesOfField(info: EncryptionInfo, key: string, maximumBytes: number): Buffer {
  const text = info.fields.get(key);
  const bytes = Buffer.from(text ?? '', 'base64');
  if (
    text === undefined ||
    bytes.length === 0 ||
    bytes.length > maximumBytes ||
    bytes.toString('base64') !== text
  ) {
    throw damaged(`has no valid ${key}`);
  }
  return bytes;
}

function parseLines(bytes: Uint8Array): Map<string, string> {
  if (bytes.length > MAXIMUM_INFO_BYTES) throw damaged('is too large');
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.pop() !== '') throw damaged('does not end with a line');
  if (lines.length > MAXIMUM_LINES) throw damaged('has too many lines');
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, key, value] = LINE_PATTERN.exec(line) ?? [];
    if (key === undefined || value === undefined) throw damaged('has a line that is not key = "value"');
    if (fields.has(key)) throw damaged('has a key twice');
    fields.set(key, value);
  }
  return fields;
}

function damaged(what: string): EntropyError {
  return new EntropyError('state-damaged', `encryption.info ${what}`);
}
