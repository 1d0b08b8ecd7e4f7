import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import { isEntropyError } from '../../src/base/errors.ts';
import {
  bytesOfField,
  encodeEncryptionInfo,
  MAXIMUM_INFO_BYTES,
  parseEncryptionInfo,
} from '../../src/state/encryption-info.ts';
import { count } from '../counts.ts';

const KEY_ID = '000102030405060708090a0b0c0d0e0f';
const TEXT = `.encoding = "UTF-8"\nversion = "1"\nmode = "NONE"\nkeyId = "${KEY_ID}"\nnone.inputs = "AAEC"\n`;

function codeOf(text: string | Uint8Array): string {
  try {
    parseEncryptionInfo(typeof text === 'string' ? Buffer.from(text) : text);
  } catch (error) {
    return isEntropyError(error) ? error.code : String(error);
  }
  return 'parsed';
}

test('is text that a person can read, and reads back', () => {
  const info = {
    mode: 'NONE',
    keyId: Buffer.from(KEY_ID, 'hex'),
    fields: new Map([['none.inputs', 'AAEC']]),
  };
  assert.is(encodeEncryptionInfo(info).toString(), TEXT);
  assert.equal(parseEncryptionInfo(Buffer.from(TEXT)), info);
});

test('what cannot be written plainly is not written', () => {
  for (const value of ['a"b', 'a\\b', 'a\nb', 'ä', 'x'.repeat(8193)]) {
    const info = { mode: 'NONE', keyId: Buffer.alloc(16), fields: new Map([['k', value]]) };
    assert.throws(() => encodeEncryptionInfo(info), undefined, value.slice(0, 4));
  }
});

test('a later version is told apart from damage', () => {
  assert.is(codeOf(TEXT.replace('"1"', '"2"')), 'state-version-newer');
  assert.is(codeOf('version = "12"\n'), 'state-version-newer', 'even when nothing else is as it is now');
});

for (const [what, text] of Object.entries({
  'an empty file': '',
  'no version': TEXT.replace('version', 'revision'),
  'a version that is no number': TEXT.replace('"1"', '"1.0"'),
  'version 0': TEXT.replace('"1"', '"0"'),
  'another encoding': TEXT.replace('UTF-8', 'UTF-16'),
  'a mode in lower case': TEXT.replace('NONE', 'none'),
  'a key id that is too short': TEXT.replace('0001', '01'),
  'a key given twice': `${TEXT}mode = "NONE"\n`,
  'a line without quotes': `${TEXT}a = b\n`,
  'a line with more behind it': `${TEXT}a = "b" c\n`,
  'a comment': `# hello\n${TEXT}`,
  'an empty line': `\n${TEXT}`,
  'no end of the last line': TEXT.slice(0, -1),
  'carriage returns': TEXT.replaceAll('\n', '\r\n'),
  'a NUL': `${TEXT}a = "\0"\n`,
  'too many lines': TEXT + Array.from({ length: 60 }, (_, index) => `k${index} = ""\n`).join(''),
  'too many bytes': TEXT + `a = "${'x'.repeat(MAXIMUM_INFO_BYTES)}"\n`,
})) {
  test(`refused: ${what}`, () => assert.is(codeOf(text), 'state-damaged'));
}

test('a field of bytes is canonical base64 within its bound', () => {
  const withField = (value: string): ReturnType<typeof parseEncryptionInfo> =>
    parseEncryptionInfo(Buffer.from(TEXT.replace('AAEC', value)));
  assert.equal(bytesOfField(withField('AAEC'), 'none.inputs', 3), Buffer.from([0, 1, 2]));
  for (const bad of ['', 'AAE', 'AAEC=', 'AA EC', 'AAF=', 'AAECAw==', '!!!!']) {
    assert.throws(() => bytesOfField(withField(bad), 'none.inputs', 3), /none.inputs/, bad);
  }
  assert.throws(() => bytesOfField(withField('AAEC'), 'missing', 3), /missing/);
});

test('any bytes, and any change of a valid file, parse or are refused with a code', () => {
  const valid = Buffer.from(TEXT);
  const changed = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const bytes = Buffer.from(valid);
      for (const [offset, value] of changes) bytes.writeUInt8(value, offset);
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), changed), (bytes) =>
      ['parsed', 'state-damaged', 'state-version-newer'].includes(codeOf(bytes)),
    ),
    { numRuns: count(2000, 100_000) },
  );
});

test.run();
