import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { isEntropyError } from '../../src/base/errors.ts';
import {
  decodeRecoveryKey,
  encodeRecoveryKey,
  MAXIMUM_RECOVERY_INPUT_BYTES,
  RECOVERY_KEY_TEXT_BYTES,
} from '../../src/state/recovery-key.ts';
import { count } from '../counts.ts';
import { isA } from '../rejects.ts';

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 });
const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);

/** What the text decodes to, or what is said of it. */
function verdictOn(text: string | Uint8Array): string {
  try {
    return decodeRecoveryKey(Buffer.from(text)).toString('hex');
  } catch (error) {
    if (!isEntropyError(error, 'recovery-key-malformed')) throw error;
    return error.message.replace('the recovery key is not one: ', '');
  }
}

function groupsOf(key: Uint8Array): string[] {
  return encodeRecoveryKey(key).toString('latin1').split('-');
}

test('is 16 groups of 6 digits, each its word times 11 and its place: worked by hand', () => {
  // Words 0x0001, 0x0203, … 0x1e1f; the twelfth group (i = 11) adds 0 again.
  const words = Array.from({ length: 16 }, (_, group) => 2 * group * 256 + 2 * group + 1);
  const byHand = words.map((word, group) => String(word * 11 + (group % 11)).padStart(6, '0'));
  assert.is(encodeRecoveryKey(KEY).toString('latin1'), byHand.join('-'));
  assert.is(byHand.join('-').slice(0, 13), '000011-005666');
  assert.is(encodeRecoveryKey(Buffer.alloc(32, 0xff)).toString('latin1', 0, 13), '720885-720886');
  assert.is(RECOVERY_KEY_TEXT_BYTES, 111);
});

test('reads back whatever it wrote, with dashes, blanks or lines between the groups', () => {
  fc.assert(
    fc.property(anyKey, fc.constantFrom('-', ' ', '\n', ' - ', '\r\n\t'), (key, separator) => {
      const text = groupsOf(key).join(separator);
      return [text, `\n ${text} \n`].every(
        (one) =>
          one.length > MAXIMUM_RECOVERY_INPUT_BYTES || verdictOn(one) === Buffer.from(key).toString('hex'),
      );
    }),
    { numRuns: count(500, 20_000) },
  );
});

test('every wrong digit, and every two neighbours swapped, are told with their group', () => {
  fc.assert(
    fc.property(anyKey, fc.nat(15), fc.nat(5), fc.integer({ min: 1, max: 9 }), (key, group, at, shift) => {
      const groups = groupsOf(key);
      const digits = Array.from(groups[group] ?? '');
      const wrong = digits.with(at, String((Number(digits[at]) + shift) % 10));
      const verdict = verdictOn(groups.with(group, wrong.join('')).join('-'));
      if (verdict !== `group ${group + 1} malformed`) return false;
      const [a = '', b = ''] = [digits[at], digits[at + 1] ?? digits[at]];
      if (a === b) return true;
      const swapped = digits.with(at, b).with(at + 1, a);
      return verdictOn(groups.with(group, swapped.join('')).join('-')) === `group ${group + 1} malformed`;
    }),
    { numRuns: count(1000, 50_000) },
  );
});

test('two groups swapped are noticed unless they stand 11 apart', () => {
  const groups = groupsOf(KEY);
  for (let a = 0; a < 16; a++) {
    for (let b = a + 1; b < 16; b++) {
      const swapped = groups.with(a, groups[b] ?? '').with(b, groups[a] ?? '');
      const verdict = verdictOn(swapped.join('-'));
      assert.is(verdict === `group ${a + 1} malformed`, b - a !== 11, `${a} and ${b}`);
    }
  }
});

for (const [what, text, verdict] of [
  ['nothing', '', 'it has 0 groups, not 16'],
  ['a group too few', groupsOf(KEY).slice(1).join('-'), 'group 1 malformed'],
  ['the last group missing', groupsOf(KEY).slice(0, 15).join('-'), 'it has 15 groups, not 16'],
  ['a group too many', [...groupsOf(KEY), '000005'].join('-'), 'it has 17 groups, not 16'],
  ['a letter', encodeRecoveryKey(KEY).toString().replace('005666', '0o5666'), 'group 2 malformed'],
  ['a short group', encodeRecoveryKey(KEY).toString().replace('005666', '05666'), 'group 2 malformed'],
  ['a long group', encodeRecoveryKey(KEY).toString().replace('005666', '0005666'), 'group 2 malformed'],
  ['a word above 65,535', encodeRecoveryKey(KEY).toString().replace('000011', '720896'), 'group 1 malformed'],
  [
    'a value below its place',
    encodeRecoveryKey(KEY).toString().replace('005666', '000000'),
    'group 2 malformed',
  ],
  ['a NUL', encodeRecoveryKey(KEY).toString().replace('-', '\0'), 'group 1 malformed'],
  ['more than is read', ' '.repeat(MAXIMUM_RECOVERY_INPUT_BYTES + 1), 'it is too long'],
] as const) {
  test(`refused: ${what}`, () => assert.is(verdictOn(text), verdict));
}

test('any bytes decode or are refused, and what decodes is canonical', () => {
  const changed = fc
    .tuple(anyKey, fc.array(fc.tuple(fc.nat(110), fc.nat(255)), { maxLength: 4 }))
    .map(([key, changes]) => {
      const text = encodeRecoveryKey(key);
      for (const [offset, value] of changes) text.writeUInt8(value, offset);
      return text;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), changed), (bytes) => {
      const verdict = verdictOn(bytes);
      if (!/^[0-9a-f]{64}$/.test(verdict)) return true;
      const digits = Buffer.from(bytes)
        .toString('latin1')
        .replaceAll(/[^0-9]/g, '');
      return digits === groupsOf(Buffer.from(verdict, 'hex')).join('');
    }),
    { numRuns: count(5000, 200_000) },
  );
});

test('a key of another length is a mistake of the caller', () => {
  for (const length of [0, 31, 33])
    assert.throws(() => encodeRecoveryKey(Buffer.alloc(length)), isA(RangeError));
});

test.run();
