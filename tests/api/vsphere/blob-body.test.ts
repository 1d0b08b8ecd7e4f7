import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOB, readBlobBody } from '../../../src/api/vsphere/blob-body.ts';
import { BodyReader } from '../../../src/api/vsphere/body-reader.ts';
import { rejectsWith } from '../../rejects.ts';

/** Bodies with entropy in base64: judged by Buffer's own decoder and by JSON.parse. */

function read(text: string) {
  const { json, decode } = readBlobBody(Buffer.from(text));
  return { json, blob: decode() };
}

test('what Buffer encodes comes out as it was, with padding or without, with \\/ for / too', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const base64 = Buffer.from(bytes).toString('base64');
      for (const text of [base64, base64.replaceAll('=', ''), base64.replaceAll('/', '\\/')]) {
        const { json, blob } = read(`{"data": "${text}", "x": 1}`);
        assert.equal([...blob!], [...bytes]);
        assert.equal(json, { data: BLOB, x: 1 });
      }
    }),
  );
});

test('what is no base64 is told as that: other characters, a digit alone, bits left over, padding that does not fit', () => {
  for (const text of [
    '!',
    'A',
    'AAAAA',
    'AB',
    'AAB',
    'AA=',
    'AAA==',
    'AAAA=',
    '=',
    'AA==AA==',
    'AA-_',
    ' AAA',
    'AAA\\n',
    'ÄÄÄÄ',
  ])
    assert.equal(read(`{"data":"${text}"}`), { json: { data: BLOB }, blob: undefined }, text);
});

test('every other document is as JSON.parse has it', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      fc.pre(!/"(?:data|BINARY|BLOB)"\s*:\s*"/.test(text));
      assert.equal(read(text), { json: JSON.parse(text) as unknown, blob: undefined });
    }),
  );
});

test('strings of any kind neither hide a blob nor pose as one', () => {
  assert.equal(read('{"a":"\\"data\\":\\"AAAA\\"","b":"data","c":["data"]}').blob, undefined);
  const { json, blob } = read('{"a":"\\\\","spec" : {"data" :\n"AQID"},"z":"\\u00e9é"}');
  assert.equal(json, { a: '\\', spec: { data: BLOB }, z: 'éé' });
  assert.equal(blob, Buffer.from([1, 2, 3]));
  assert.equal(read('{"data":{"BINARY":"AQID"}}').json, { data: { BINARY: BLOB } });
});

test('no bytes whatever do more than throw SyntaxError', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.string().map((text) => Buffer.from(`{"data":"${text}`)),
      ),
      (bytes) => {
        try {
          readBlobBody(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof SyntaxError);
        }
      },
    ),
  );
});

test('what is beside the blob is small, however large the blob', () => {
  const frame = (blob: string, beside: string) => `{"data":"${blob}","x":"${beside}"}`;
  const largest = 65_536 - frame(BLOB, '').length;
  assert.is(read(frame('A'.repeat(400_000), 'x'.repeat(largest))).blob?.length, 300_000);
  for (const text of [
    frame('AAAA', 'x'.repeat(largest + 1)),
    frame('AAAA', 'x'.repeat(1_000_000)),
    '['.repeat(8_000_000),
    '[],'.repeat(2_000_000),
    '{"data":"",'.repeat(100_000),
  ])
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof SyntaxError && error.message.includes('65536'),
    );
});

async function* parts(...sizes: readonly number[]): AsyncIterable<Buffer> {
  for (const size of sizes) yield await Promise.resolve(Buffer.alloc(size, 1));
}

test('bodies are bounded, one by one and all together, and wiped when they were used', async () => {
  const reader = new BodyReader({ maximumBytes: 100, totalBytes: 150 });
  let kept: Buffer | undefined;
  const inUse = await reader.read(parts(60, 40), async (body) => {
    kept = body;
    await rejectsWith(
      reader.read(parts(51), () => Promise.resolve()),
      'server-busy',
    );
    await reader.read(parts(50), () => Promise.resolve());
    return body.length;
  });
  assert.is(inUse, 100);
  assert.ok(kept!.every((byte) => byte === 0));
  await rejectsWith(
    reader.read(parts(60, 41), () => Promise.resolve()),
    'payload-too-large',
  );
  assert.is(reader.heldBytes, 0);
});

test.run();
