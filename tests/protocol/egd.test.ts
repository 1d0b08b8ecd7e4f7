import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { EgdParser, encodeEgdCounted, encodeEgdLevel, type EgdCommand } from '../../src/protocol/egd.ts';
import { count } from '../counts.ts';
import { throwsWith } from '../rejects.ts';
import { isA } from '../rejects.ts';

function parsed(...chunks: readonly Uint8Array[]): EgdCommand[] {
  const parser = new EgdParser();
  return chunks.flatMap((chunk) => [...parser.commands(chunk)]);
}

const WRITE = Buffer.from([3, 0x01, 0x02, 4, 9, 8, 7, 6]);

test('the five commands', () => {
  assert.equal(parsed(Buffer.from([0])), [{ kind: 'level' }]);
  assert.equal(parsed(Buffer.from([1, 255])), [{ kind: 'read', lengthBytes: 255, isBlocking: false }]);
  assert.equal(parsed(Buffer.from([2, 0])), [{ kind: 'read', lengthBytes: 0, isBlocking: true }]);
  assert.equal(parsed(WRITE), [{ kind: 'write', claimedBits: 0x0102, bytes: Buffer.from([9, 8, 7, 6]) }]);
  assert.equal(parsed(Buffer.from([4])), [{ kind: 'pid' }]);
});

test('a write of 255 bytes and one of none', () => {
  const bytes = Buffer.alloc(255, 5);
  assert.equal(parsed(Buffer.concat([Buffer.from([3, 0xff, 0xff, 255]), bytes])), [
    { kind: 'write', claimedBits: 65_535, bytes },
  ]);
  assert.equal(parsed(Buffer.from([3, 0, 0, 0])), [
    { kind: 'write', claimedBits: 0, bytes: Buffer.alloc(0) },
  ]);
});

test('an unknown command is refused, after those before it were done', () => {
  for (const command of [5, 0x10, 255]) {
    const commands = new EgdParser().commands(Buffer.from([4, command]));
    assert.equal(commands.next().value, { kind: 'pid' });
    throwsWith(() => commands.next(), 'request-invalid');
  }
});

test('a stream cut anywhere gives the same commands', () => {
  const command = fc.oneof(
    fc.constantFrom([0], [4]),
    fc.tuple(fc.constantFrom(1, 2), fc.nat(255)),
    fc.uint8Array({ maxLength: 255 }).map((bytes) => [3, 1, 0, bytes.length, ...bytes]),
  );
  fc.assert(
    fc.property(fc.array(command), fc.array(fc.integer({ min: 1, max: 300 })), (commands, cuts) => {
      const whole = Buffer.from(commands.flat());
      const chunks: Buffer[] = [];
      let rest = whole;
      for (const cut of cuts) {
        chunks.push(rest.subarray(0, cut));
        rest = rest.subarray(cut);
      }
      assert.equal(parsed(...chunks, rest), parsed(whole));
      assert.is(parsed(whole).length, commands.length);
    }),
    { numRuns: count(100, 3000) },
  );
});

test('the client’s own bytes are left alone', () => {
  const chunk = Buffer.from(WRITE);
  parsed(chunk);
  assert.equal(chunk, WRITE);
});

test('answers: bits end at 2^32 - 1, and what is counted is at most 255 bytes', () => {
  assert.is(encodeEgdLevel(0x01020304).toString('hex'), '01020304');
  assert.is(encodeEgdLevel(2 ** 40).toString('hex'), 'ffffffff');
  assert.is(encodeEgdLevel(-1).toString('hex'), '00000000');
  assert.is(encodeEgdLevel(8.9).toString('hex'), '00000008');
  assert.equal(encodeEgdCounted(Buffer.from('123')), Buffer.from([3, 0x31, 0x32, 0x33]));
  assert.is(encodeEgdCounted(Buffer.alloc(255)).length, 256);
  assert.throws(() => encodeEgdCounted(Buffer.alloc(256)), isA(RangeError));
});

test('no bytes make the parser throw anything but its code', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (chunks) => {
      try {
        parsed(...chunks);
        return true;
      } catch (error) {
        return isEntropyError(error, 'request-invalid');
      }
    }),
    { numRuns: count(500, 10_000) },
  );
});

test.run();
