import { secretBytes, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';

/**
 * The recovery key as people keep it: 16 groups of 6 decimal digits, the form that ESXi prints.
 *
 *   group i (from 0) = w·11 + (i mod 11)     w = bytes 2i and 2i+1 of the key, big endian
 *
 * A single wrong digit changes a group by d·10^k and two neighbours swapped by 9·d·10^k; 11 divides neither, so both are
 * always noticed, and so are two groups swapped unless they stand 11 apart. That ESXi puts w in the same byte
 * order is not published; keys are not carried from one to the other.
 *
 * Digits stay in buffers: a string could not be wiped.
 */
export const RECOVERY_KEY_BYTES = 32;

const GROUPS = 16;
const GROUP_DIGITS = 6;
const CHECK = 11;
const WORDS = 65_536;
const STRIDE = GROUP_DIGITS + 1;
/** Length of the text: 16 groups and 15 dashes. */
export const RECOVERY_KEY_TEXT_BYTES = GROUPS * STRIDE - 1;
/** What may be read before it is judged; more than any sensible spacing around the groups. */
export const MAXIMUM_RECOVERY_INPUT_BYTES = 1024;

const DASH = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

/** The 111 bytes of ASCII of a key of 32 bytes; the caller's to wipe. */
export function encodeRecoveryKey(key: Uint8Array): Buffer {
  if (key.length !== RECOVERY_KEY_BYTES) throw new RangeError('a recovery key has 32 bytes');
  const text = Buffer.alloc(RECOVERY_KEY_TEXT_BYTES, DASH);
  for (let group = 0; group < GROUPS; group++) {
    const word = (key[2 * group] ?? 0) * 256 + (key[2 * group + 1] ?? 0);
    let rest = word * CHECK + (group % CHECK);
    for (let digit = GROUP_DIGITS - 1; digit >= 0; digit--) {
      text[group * STRIDE + digit] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
  return text;
}

/**
 * The 32 bytes of a key; the caller's to wipe. Groups are set apart by dashes, blanks or line ends, since people type
 * and print them so. Throws `recovery-key-malformed`, naming the first group (from 1) that is wrong and never its digits.
 */
export function decodeRecoveryKey(text: Uint8Array): Buffer {
  const key = secretBytes(RECOVERY_KEY_BYTES);
  try {
    let group = 0;
    for (const [start, end] of runs(text)) {
      if (group < GROUPS) key.writeUInt16BE(wordOf(text.subarray(start, end), group), 2 * group);
      group++;
    }
    if (group !== GROUPS) throw malformed(`it has ${group} groups, not ${GROUPS}`);
    return key;
  } catch (error) {
    wipe(key);
    throw error;
  }
}

/** Where the groups stand: whatever lies between separators. */
function runs(text: Uint8Array): [number, number][] {
  if (text.length > MAXIMUM_RECOVERY_INPUT_BYTES) throw malformed('it is too long');
  const found: [number, number][] = [];
  let start = -1;
  for (let at = 0; at <= text.length; at++) {
    const inside = at < text.length && !isSeparator(text[at] ?? 0);
    if (inside && start < 0) start = at;
    if (!inside && start >= 0) {
      found.push([start, at]);
      start = -1;
    }
  }
  return found;
}

function isSeparator(byte: number): boolean {
  return byte === DASH || byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function wordOf(digits: Uint8Array, group: number): number {
  let value = 0;
  for (const digit of digits) {
    if (digit < ZERO || digit > NINE || digits.length !== GROUP_DIGITS) throw malformedGroup(group);
    value = value * 10 + (digit - ZERO);
  }
  const word = (value - (group % CHECK)) / CHECK;
  if (!Number.isInteger(word) || word < 0 || word >= WORDS) throw malformedGroup(group);
  return word;
}

function malformedGroup(group: number): EntropyError {
  return malformed(`group ${group + 1} malformed`);
}

function malformed(what: string): EntropyError {
  return new EntropyError('recovery-key-malformed', `the recovery key is not one: ${what}`);
}
