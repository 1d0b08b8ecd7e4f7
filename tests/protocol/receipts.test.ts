import { createHash, verify } from 'node:crypto';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { FRAME_VERDICTS } from '../../src/base/names.ts';
import { publicKeyFrom } from '../../src/protocol/raw-keys.ts';
import { ReceiptChain, type FrameOutcome } from '../../src/protocol/receipt-chain.ts';
import { ReceiptVerifier, type ReceiptSummary } from '../../src/protocol/receipt-verifier.ts';
import { parseReceipt, receiptDigest, signReceipt, type Receipt } from '../../src/protocol/receipt.ts';
import { count } from '../counts.ts';
import { throwsWith } from '../rejects.ts';
import {
  altered,
  HOST_ID,
  OTHER_HOST_ID,
  OTHER_KEY,
  RECEIPT_KEY,
  RECEIPT_PRIVATE_KEY,
} from './feed-fixture.ts';
import { isA } from '../rejects.ts';

const RECORD_BYTES = 264;
const NOW_MS = 1_800_000_000_000;

function chain(session = 1, feeder = 'lab-1'): ReceiptChain {
  return new ReceiptChain(
    { host: HOST_ID, session: Buffer.alloc(16, session), feeder, feederId: 7 },
    { privateKey: RECEIPT_PRIVATE_KEY },
  );
}

function outcome(sequence: number, fields: Partial<FrameOutcome> = {}): FrameOutcome {
  return {
    sequence,
    frameDigest: createHash('sha256').update(`frame ${sequence}`).digest(),
    verdict: 'accepted',
    payloadBytes: 4096,
    memoryBytes: 4000,
    storedBytes: 96,
    creditUnits: 4096 * 1024,
    timeMs: NOW_MS,
    ...fields,
  };
}

/** Receipts of three frames and their end. */
function session(number = 1): Buffer[] {
  const one = chain(number);
  const records = [5, 6, 9].map((sequence) => one.receipt(outcome(sequence)));
  return [...records, one.end(NOW_MS + 1)!];
}

function verified(records: readonly Uint8Array[], host?: Uint8Array): ReceiptSummary {
  const options = host === undefined ? {} : { host };
  const verifier = new ReceiptVerifier({ receiptKey: RECEIPT_KEY, ...options });
  verifier.add(Buffer.concat(records));
  return verifier.summary();
}

/** Passes when verification names this record and, somewhere in why, these words. */
function refusedAt(record: number, why: RegExp, records: readonly Uint8Array[], host?: Uint8Array): void {
  assert.throws(
    () => verified(records, host),
    (error: unknown) =>
      isEntropyError(error, 'receipt-invalid') &&
      error.message.startsWith(`record ${record}: `) &&
      why.test(error.message),
  );
}

/** A record signed by the right key that no chain would sign. */
function forged(record: Uint8Array, fields: Partial<Receipt>): Buffer {
  return signReceipt({ ...parseReceipt(record), ...fields }, RECEIPT_PRIVATE_KEY);
}

test('a record has every field at its offset', () => {
  const record = chain().receipt(
    outcome(0x0102_0304_0506, {
      verdict: 'no-room',
      payloadBytes: 0x1122,
      memoryBytes: 0x1020,
      storedBytes: 0x0102,
      creditUnits: 0x0a0b0c,
      timeMs: 0x0506_0708,
    }),
  );
  const at = (offset: number, length: number) => record.subarray(offset, offset + length).toString('hex');
  assert.is(record.length, RECORD_BYTES);
  assert.is(record.toString('latin1', 0, 8), 'emreceip');
  assert.is(at(8, 4), '01' + '01' + '04' + '00');
  assert.is(at(12, 4), '00000007');
  assert.is(at(16, 16), HOST_ID.toString('hex'));
  assert.is(at(32, 16), '01'.repeat(16));
  assert.is(record.toString('latin1', 48, 80), 'lab-1' + '\0'.repeat(27));
  assert.is(at(80, 8), '0000010203040506');
  assert.is(at(88, 8), '0000000005060708');
  assert.is(at(96, 32), createHash('sha256').update(`frame 1108152157446`).digest('hex'));
  assert.is(at(128, 8), '0000000000000001');
  assert.is(at(136, 8), '0000000000001122');
  assert.is(at(144, 8), '0000000000001020');
  assert.is(at(152, 8), '0000000000000102');
  assert.is(at(160, 8), '00000000000a0b0c');
  assert.is(at(168, 32), '00'.repeat(32));
  const publicKey = publicKeyFrom('ed25519', RECEIPT_KEY);
  assert.ok(verify(null, record.subarray(0, 200), publicKey, record.subarray(200)));
});

test('each record holds the digest of the one before, the end the sums', () => {
  const [first, second, , end] = session();
  assert.equal(parseReceipt(second!).previous, createHash('sha256').update(first!).digest());
  const { kind, position, sequence, payloadBytes, storedBytes, frameDigest } = parseReceipt(end!);
  assert.equal([kind, position, sequence, payloadBytes, storedBytes], ['end', 4, 9, 3 * 4096, 3 * 96]);
  assert.ok(frameDigest.every((byte) => byte === 0));
});

test('whole sessions verify, one after the other and one within the other', () => {
  const [one, two] = [session(1), session(2)];
  for (const records of [
    [...one, ...two],
    [one[0]!, two[0]!, two[1]!, one[1]!, one[2]!, two[2]!, one[3]!, two[3]!],
  ]) {
    const summary = verified(records, HOST_ID);
    assert.equal(
      { ...summary, lastReceipt: undefined },
      {
        records: 8,
        frames: 6,
        sessions: 2,
        openSessions: 0,
        payloadBytes: 6 * 4096,
        memoryBytes: 6 * 4000,
        storedBytes: 6 * 96,
        creditUnits: 6 * 4096 * 1024,
        lastReceipt: undefined,
      },
    );
    assert.equal(summary.lastReceipt, createHash('sha256').update(records[7]!).digest());
  }
});

test('records may come in pieces of any size', () => {
  const file = Buffer.concat(session());
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 700 })), (sizes) => {
      const verifier = new ReceiptVerifier({ receiptKey: RECEIPT_KEY });
      let rest = file;
      for (const size of sizes) {
        verifier.add(rest.subarray(0, size));
        rest = rest.subarray(size);
      }
      verifier.add(rest);
      assert.is(verifier.summary().records, 4);
    }),
    { numRuns: count(20, 500) },
  );
});

test('no file is an empty one, and a session without its end is told as open', () => {
  assert.is(verified([]).records, 0);
  assert.is(verified([]).lastReceipt, undefined);
  assert.is(verified(session().slice(0, 3)).openSessions, 1);
});

test('one altered bit in any byte is refused, and the record named', () => {
  const [first, second, ...rest] = session();
  for (let at = 0; at < RECORD_BYTES; at += count(3, 1))
    refusedAt(2, /./, [first!, altered(second!, at, at % 8), ...rest]);
});

test('a record left out, repeated, swapped, or put in from another session is refused', () => {
  const [first, second, third, end] = session() as [Buffer, Buffer, Buffer, Buffer];
  refusedAt(1, /number 2 of its session, expected 1/, [second, third, end]);
  refusedAt(2, /number 3 of its session, expected 2/, [first, third, end]);
  refusedAt(3, /number 4 of its session, expected 3/, [first, second, end]);
  refusedAt(2, /number 1 of its session, expected 2/, [first, first]);
  refusedAt(2, /number 3/, [first, third, second]);
  refusedAt(5, /had ended/, [first, second, third, end, first]);
  const other = forged(second, { session: Buffer.alloc(16, 9) });
  refusedAt(2, /number 2 of its session, expected 1/, [first, other]);
});

test('a record that was cut off is refused when the file ends', () => {
  const [first, second] = session() as [Buffer, Buffer];
  for (const length of [1, 100, RECORD_BYTES - 1])
    refusedAt(2, new RegExp(`ends after ${length} bytes`), [first, second.subarray(0, length)]);
});

test('records of another host or another key are refused', () => {
  refusedAt(1, /another host/, session(), OTHER_HOST_ID);
  const [first] = session() as [Buffer];
  const elsewhere = forged(first, { host: OTHER_HOST_ID, session: Buffer.alloc(16, 2) });
  refusedAt(2, /another host/, [first, elsewhere]);
  const verifier = new ReceiptVerifier({ receiptKey: OTHER_KEY });
  throwsWith(() => verifier.add(first), 'receipt-invalid');
});

/** What a verifier that believes chains makes of these records in one piece. */
function believed(records: readonly Uint8Array[]): number {
  const verifier = new ReceiptVerifier({ receiptKey: RECEIPT_KEY, believesChains: true });
  return verifier.add(Buffer.concat(records)).length;
}

/** The record with a signature that nobody made, and the ones after it signed over it all the same. */
function unsignedAt(index: number): Buffer[] {
  const records = session();
  records[index] = altered(records[index]!, RECORD_BYTES - 1, 0);
  for (let next = index + 1; next < records.length; next++)
    records[next] = forged(records[next]!, { previous: receiptDigest(records[next - 1]!) });
  return records;
}

test('where chains are believed, a signature vouches for the records before it in its piece', () => {
  const records = unsignedAt(1);
  refusedAt(2, /signature/, records);
  assert.is(believed(records), 4);
  assert.is(believed(session()), 4);
});

test('a record that no signature reaches is refused, chains believed or not', () => {
  const last = unsignedAt(3);
  assert.throws(() => believed(last), /record 4: its signature/);
  // Alone in its piece nothing vouches for it.
  assert.throws(() => believed(unsignedAt(0).slice(0, 1)), /record 1: its signature/);
  // A chain that was broken vouches for nothing: each record is judged by its own signature.
  const [first, second, third] = unsignedAt(1) as [Buffer, Buffer, Buffer];
  const [, , other] = session() as [Buffer, Buffer, Buffer];
  assert.throws(() => believed([first, second, other]), /record 2: its signature/);
  assert.throws(() => believed([first, second, altered(third, RECORD_BYTES - 1, 0)]), /record 2: its sig/);
});

test('where chains are believed, one altered bit in any byte of any record is still refused', () => {
  const records = session();
  for (let at = 0; at < RECORD_BYTES; at += count(7, 1)) {
    for (const [index, record] of records.entries())
      assert.throws(() => believed(records.with(index, altered(record, at, at % 8))), /record \d: /);
  }
});

test('what the key signed but no honest host would say is refused', () => {
  const [first, second, third, end] = session() as [Buffer, Buffer, Buffer, Buffer];
  refusedAt(1, /more bytes were taken/, [forged(first, { memoryBytes: 4001 })]);
  refusedAt(1, /8 bits per byte/, [forged(first, { creditUnits: 4096 * 8192 + 1 })]);
  for (const verdict of ['uncredited', 'test-failed', 'duplicate'] as const)
    refusedAt(1, /it credits/, [forged(first, { verdict, creditUnits: 1 })]);
  refusedAt(2, /does not follow/, [first, forged(second, { previous: Buffer.alloc(32) })]);
  refusedAt(1, /does not follow/, [forged(first, { previous: Buffer.alloc(32, 1) })]);
  refusedAt(2, /does not rise/, [first, forged(second, { sequence: 5 })]);
  refusedAt(2, /another feeder/, [first, forged(second, { feeder: 'lab-2' })]);
  refusedAt(2, /another feeder/, [first, forged(second, { feederId: 8 })]);
  refusedAt(4, /another frame than the last/, [first, second, third, forged(end, { sequence: 10 })]);
  refusedAt(4, /names a frame/, [first, second, third, forged(end, { frameDigest: Buffer.alloc(32, 1) })]);
  for (const sum of [
    { payloadBytes: 3 * 4096 + 1 },
    { memoryBytes: 3 * 4000 - 1 },
    { storedBytes: 3 * 96 - 1 },
    { creditUnits: 3 * 4096 * 1024 - 1 },
  ])
    refusedAt(4, /sums/, [first, second, third, forged(end, sum)]);
  refusedAt(1, /without a frame/, [forged(end, { position: 1, previous: Buffer.alloc(32) })]);
});

test('a layout that no version 1 has is refused by the field that does not fit', () => {
  const [first] = session() as [Buffer];
  const with1 = (offset: number, value: number) => {
    const copy = Buffer.from(first);
    copy[offset] = value;
    return copy;
  };
  for (const [offset, value, field] of [
    [0, 0, 'magic'],
    [8, 2, 'version'],
    [9, 0, 'kind'],
    [9, 3, 'kind'],
    [10, FRAME_VERDICTS.length, 'verdict'],
    [11, 1, 'zero'],
    [15, 0, 'feeder id'],
    [48, 0, 'feeder name'],
    [48, 0x2e, 'feeder name'],
    [79, 0x61, 'feeder name'],
    [80, 0x01, 'sequence'],
    [81, 0x20, 'sequence'],
    [88, 0x01, 'time'],
    [128, 0x01, 'position'],
    [135, 0, 'position'],
    [136, 1, 'payload bytes'],
    [144, 1, 'memory bytes'],
    [152, 1, 'stored bytes'],
    [160, 1, 'credit'],
  ] as const)
    refusedAt(1, new RegExp(`its ${field} does not fit`), [with1(offset, value)]);
});

test('every receipt that can be said survives signing and parsing', () => {
  const number = fc.nat(Number.MAX_SAFE_INTEGER);
  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
  const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
  const receipt = fc.record({
    kind: fc.constant('frame' as const),
    verdict: fc.constantFrom(...FRAME_VERDICTS),
    feederId: fc.integer({ min: 1, max: 0xffff_ffff }),
    host: id,
    session: id,
    feeder: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,31}$/),
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    timeMs: number,
    frameDigest: digest,
    position: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    payloadBytes: number,
    memoryBytes: number,
    storedBytes: number,
    creditUnits: number,
    previous: digest,
  });
  fc.assert(
    fc.property(receipt, (one) => {
      assert.equal(parseReceipt(signReceipt(one, RECEIPT_PRIVATE_KEY)), { ...one });
    }),
    { numRuns: count(100, 2000) },
  );
});

test('the chain signs nothing out of order, nothing after its end, and no end without a frame', () => {
  const one = chain();
  assert.is(one.end(NOW_MS), undefined);
  one.receipt(outcome(5));
  assert.throws(() => one.receipt(outcome(5)), isA(RangeError));
  assert.ok(one.end(NOW_MS));
  assert.throws(() => one.receipt(outcome(6)), isA(TypeError));
  assert.throws(() => one.end(NOW_MS), isA(TypeError));
});

test('no bytes make the verifier throw anything but its code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(263), fc.nat(255), (junk, at, value) => {
      const record = Buffer.from(session()[0]!);
      record[at] = value;
      for (const bytes of [junk, record, Buffer.concat([record, junk])]) {
        try {
          verified([bytes]);
        } catch (error) {
          if (!isEntropyError(error, 'receipt-invalid')) return false;
        }
      }
      return true;
    }),
    { numRuns: count(100, 3000) },
  );
});

test.run();
