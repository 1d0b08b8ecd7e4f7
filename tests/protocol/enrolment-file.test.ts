import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { encodeEnrolment, parseEnrolment, type Enrolment } from '../../src/protocol/enrolment-file.ts';
import { count } from '../counts.ts';
import { throwsWith } from '../rejects.ts';
import { isA } from '../rejects.ts';

const ENROLMENT: Enrolment = {
  url: 'ws://127.0.0.1:8740/v1/feed',
  host: Buffer.from('00112233445566778899aabbccddeeff', 'hex'),
  feeder: 'lab-1',
  receiptKey: Buffer.alloc(32, 0x5a),
  key: Buffer.from([...Array(32).keys()].map((index) => (index * 37 + 9) & 255)),
};

const TEXT = `entropy-feed enrolment v1
url ws://127.0.0.1:8740/v1/feed
host 00112233445566778899aabbccddeeff
feeder lab-1
receipt-key ${'5a'.repeat(32)}
key ${ENROLMENT.key.toString('hex')}
`;

function refused(text: string | Uint8Array): void {
  throwsWith(
    () => parseEnrolment(typeof text === 'string' ? Buffer.from(text, 'latin1') : text),
    'enrolment-invalid',
  );
}

test('an enrolment is six lines', () => {
  assert.is(encodeEnrolment(ENROLMENT).toString('latin1'), TEXT);
  assert.equal(parseEnrolment(Buffer.from(TEXT)), ENROLMENT);
});

test('every enrolment is read as it was written', () => {
  const bytes = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((one) => Buffer.from(one));
  const enrolment = fc.record({
    url: fc.constantFrom('ws://[::1]:1/v1/feed', 'wss://host.example/v1/feed?x=1'),
    host: bytes(16),
    feeder: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,31}$/),
    receiptKey: bytes(32),
    key: bytes(32),
  });
  fc.assert(
    fc.property(enrolment, (one) => assert.equal(parseEnrolment(encodeEnrolment(one)), { ...one })),
    { numRuns: count(100, 2000) },
  );
});

test('hexadecimal digits are the sixteen lower-case ones, in either half of any byte', () => {
  const digits = ENROLMENT.key.toString('hex');
  for (let code = 0; code < 256; code++) {
    const character = String.fromCharCode(code);
    for (const at of [0, 1, 63]) {
      const changed = digits.slice(0, at) + character + digits.slice(at + 1);
      const text = TEXT.replace(digits, () => changed);
      if (/[0-9a-f]/.test(character)) {
        assert.is(parseEnrolment(Buffer.from(text, 'latin1')).key.toString('hex'), changed);
      } else refused(text);
    }
  }
});

test('lines keep to their order, their names and their lengths', () => {
  const lines = TEXT.split('\n').slice(0, 6);
  for (let index = 0; index < 6; index++) {
    refused(lines.filter((_, other) => other !== index).join('\n') + '\n');
    refused([...lines.slice(0, index), lines[index], ...lines.slice(index)].join('\n') + '\n');
  }
  refused([lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n') + '\n');
  for (const [from, to] of [
    ['v1', 'v2'],
    ['\n', '\r\n'],
    ['key 5a', 'key 5'],
    ['key 5a', 'key 5a5a'],
    ['host 00', 'host  00'],
    ['lab-1', 'Lab-1'],
    ['lab-1', ''],
    ['ws://', 'http://'],
    ['ws://', 'ws://user:word@'],
    ['/v1/feed', '/v1/feed#x'],
    ['/v1/feed', '/ v1'],
    ['127.0.0.1', ''],
  ] as const)
    refused(TEXT.replace(from, to));
});

test('a file that was cut off anywhere is refused', () => {
  for (let length = 0; length < TEXT.length; length++) refused(TEXT.slice(0, length));
  refused(`${TEXT}x`);
  refused(`${TEXT}\n`);
});

test('a file of more than 4,096 bytes is not looked at', () => refused(Buffer.alloc(4097, 0x0a)));

test('an error never tells what the file holds', () => {
  const secret = ENROLMENT.key.toString('hex');
  for (const text of [TEXT.replace(secret, `${secret}0`), TEXT.replace('key ', 'kex ')]) {
    try {
      parseEnrolment(Buffer.from(text));
      assert.unreachable();
    } catch (error) {
      assert.ok(isEntropyError(error, 'enrolment-invalid') && !error.message.includes(secret.slice(0, 8)));
    }
  }
});

test('what does not fit the format is not written', () => {
  for (const fields of [
    { url: 'ftp://host/' },
    { url: 'ws://host/\nkey 00' },
    { feeder: 'a b' },
    { host: Buffer.alloc(15) },
    { receiptKey: Buffer.alloc(33) },
    { key: Buffer.alloc(31) },
  ])
    assert.throws(() => encodeEnrolment({ ...ENROLMENT, ...fields }), isA(RangeError));
});

test('no bytes make the parser throw anything but its code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(TEXT.length), (junk, at) => {
      const spliced = Buffer.concat([Buffer.from(TEXT).subarray(0, at), junk]);
      for (const bytes of [junk, spliced]) {
        try {
          parseEnrolment(bytes);
        } catch (error) {
          if (!isEntropyError(error, 'enrolment-invalid')) return false;
        }
      }
      return true;
    }),
    { numRuns: count(300, 10_000) },
  );
});

test.run();
