import { createHmac } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { EntropyError } from '../../src/base/errors.ts';
import { parseReceipt } from '../../src/protocol/receipt.ts';
import { ReceiptVerifier } from '../../src/protocol/receipt-verifier.ts';
import { publicBytesOf } from '../../src/protocol/raw-keys.ts';
import { RequestIntake } from '../../src/service/request-intake.ts';
import { RequestSessions } from '../../src/service/request-sessions.ts';
import { random } from '../api/feed-bench-client.ts';
import { FeedBench, NOISE } from '../api/feed-bench.ts';
import { rejectsWith } from '../rejects.ts';

/** Entropy by requests, over the whole admission of the feed with a fake engine. */

const ORIGIN = { address: '192.0.2.7:4711', ipAddress: '192.0.2.7' };
const KEY = Buffer.alloc(32, 0x5a);

let bench: FeedBench;
let intake: RequestIntake;

test.before.each(async () => {
  bench = await FeedBench.open();
  intake = intakeOf(bench);
});
test.after.each(async () => {
  await bench.close();
});

function intakeOf({ admission, clock }: FeedBench): RequestIntake {
  return new RequestIntake({ admission, sessions: new RequestSessions({ admission, clock, random }) });
}

async function enrolled(name = 'hsm-1', terms: Partial<typeof NOISE> = {}) {
  const { record } = await bench.enrolment.enroll(name, { ...NOISE, ...terms });
  bench.admission.watch(record);
  return { id: record.id, name };
}

let fill = 0;
/** Never the same twice. */
function entropy(length = 64): Buffer {
  return Buffer.alloc(length, Buffer.from(`entropy ${fill++} `));
}

async function send(feeder: { id: number; name: string }, sequence?: number, payload = entropy()) {
  const turn = await intake.begin(feeder, { sequence, lengthBytes: payload.length }, ORIGIN);
  return parseReceipt(await turn.take(payload, KEY));
}

test('a request is receipted in the chain of a session that outlives it', async () => {
  const feeder = await enrolled();
  const first = await send(feeder, 1);
  const second = await send(feeder, 2);
  assert.equal([first.sequence, first.position, first.verdict, first.memoryBytes], [1, 1, 'accepted', 64]);
  assert.equal([second.sequence, second.position], [2, 2]);
  assert.equal(second.session, first.session);
  assert.is(Buffer.from(first.session.subarray(0, 4)).toString(), 'REST');
  assert.is(bench.port.frames.length, 2);
  assert.is(bench.told('feeder.connected').length, 1);
  assert.is(bench.told('entropy.data.received')[0]?.object, '192.0.2.7');
});

test('the receipts verify as those of the feed do, up to the signed end', async () => {
  const feeder = await enrolled();
  for (const sequence of [1, 2, 3]) await send(feeder, sequence);
  await bench.admission.dismiss(feeder.id, 'feeder-disabled', 'for the test');
  const records = intake.receipts(feeder, 1, 100).map((record) => Buffer.from(record));
  assert.equal(
    records.map((record) => parseReceipt(record).kind),
    ['frame', 'frame', 'frame', 'end'],
  );
  const { receiptKey } = await bench.admission.identity();
  const verifier = new ReceiptVerifier({ receiptKey: publicBytesOf(receiptKey) });
  for (const record of records) verifier.add(record);
});

test('the digest is an HMAC that feeder and host alone can make', async () => {
  const feeder = await enrolled();
  const payload = entropy();
  const expected = createHmac('sha256', KEY).update(Buffer.from('0000000000000001', 'hex')).update(payload);
  const { frameDigest } = await send(feeder, 1, Buffer.from(payload));
  assert.equal(Buffer.from(frameDigest), expected.digest());
});

test('a sequence counts once, in order, and a refusal names the next', async () => {
  const feeder = await enrolled();
  await send(feeder, 1);
  for (const [sequence, code] of [
    [1, 'sequence-used'],
    [3, 'feed-sequence-wrong'],
  ] as const) {
    const error = await rejectsWith(send(feeder, sequence), code);
    assert.ok(error instanceof EntropyError);
    assert.is(error.members.nextSequence, 2);
  }
  assert.is(bench.port.frames.length, 1);
  await send(feeder, 2);
  assert.is((await send(feeder)).sequence, 3, 'without one the host counts');
});

test('what is not granted is refused with what is, and nothing is taken', async () => {
  const feeder = await enrolled();
  bench.port.roomBytes = 8_192;
  bench.admission.roomChanged(8_192);
  const error = await rejectsWith(send(feeder, 1, entropy(65_536)), 'feed-grant-exceeded');
  assert.ok(error instanceof EntropyError);
  const granted = Number(error.members.grantedBytes);
  assert.ok(granted >= 4_096 && granted <= 8_192, String(granted));
  assert.is(error.members.retryAfterSeconds, 1);
  assert.is(bench.port.frames.length, 0);
  assert.is((await send(feeder, 1, entropy(granted))).payloadBytes, granted);
});

test('when the caches are full nothing is granted until they are drawn from', async () => {
  const feeder = await enrolled();
  bench.port.roomBytes = 8_192;
  bench.admission.roomChanged(8_192);
  let sent = 0;
  for (;;) {
    const { grantedBytes, nextSequence } = await intake.standing(feeder, ORIGIN);
    if (grantedBytes < 32) break;
    sent += (await send(feeder, nextSequence, entropy(grantedBytes))).payloadBytes;
  }
  assert.ok(sent > 4_096 && sent <= 8_192, String(sent));
  const full = await rejectsWith(send(feeder), 'feed-grant-exceeded');
  assert.ok(full instanceof EntropyError);
  assert.equal(full.members, { grantedBytes: 0, retryAfterSeconds: 10 });
  bench.admission.roomChanged(16_384);
  await send(feeder);
});

test('the rate of the enrolment holds, and the answer says how long to wait', async () => {
  const feeder = await enrolled('slow', { maximumBytesPerSecond: 1_024 });
  await send(feeder, 1, entropy(60_000));
  await bench.clock.advance(1_000);
  const error = await rejectsWith(send(feeder, 2, entropy(60_000)), 'feed-rate-exceeded');
  assert.ok(error instanceof EntropyError);
  const wait = Number(error.members.retryAfterSeconds);
  assert.ok(wait > 45 && wait < 60, String(wait));
});

test('one request of a feeder at a time; another feeder is not kept waiting', async () => {
  const [one, other] = [await enrolled('one'), await enrolled('other')];
  const turn = await intake.begin(one, { sequence: 1, lengthBytes: 64 }, ORIGIN);
  await rejectsWith(send(one, 1), 'server-busy');
  await send(other, 1);
  turn.letGo();
  await send(one, 1);
});

test('requests that come together do not open two sessions', async () => {
  const feeder = await enrolled();
  const outcomes = await Promise.allSettled([send(feeder, 1), send(feeder, 1), send(feeder, 1)]);
  assert.equal(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected'],
  );
  assert.is(bench.told('feeder.connected').length, 1);
});

test('the seen payload gets its verdict, the disabled and the revoked feeder its refusal', async () => {
  const feeder = await enrolled();
  const payload = entropy();
  await send(feeder, 1, Buffer.from(payload));
  assert.is((await send(feeder, 2, Buffer.from(payload))).verdict, 'duplicate');
  await bench.registry.disable('hsm-1', { name: 'test', access: 'change' });
  await rejectsWith(send(feeder, 3), 'feeder-disabled');
  await bench.registry.enable('hsm-1', { name: 'test', access: 'change' });
  await send(feeder, 3);
  await bench.registry.revoke('hsm-1', { name: 'test', access: 'change' });
  await rejectsWith(send(feeder, 4), 'feeder-unauthenticated');
  const other = await enrolled('hsm-1');
  await rejectsWith(send(feeder, 4), 'feeder-unauthenticated');
  await send(other, 1);
});

test('silence ends the session with its signed end, and the next request begins another', async () => {
  const feeder = await enrolled();
  const first = await send(feeder, 1);
  await bench.clock.advance(119_000);
  const second = await send(feeder, 2);
  assert.equal(second.session, first.session);
  await bench.clock.advance(120_000);
  const kinds = intake.receipts(feeder, 1, 10).map((record) => parseReceipt(record).kind);
  assert.equal(kinds, ['frame', 'frame', 'end']);
  const third = await send(feeder, 3);
  assert.not.equal(third.session, first.session);
  assert.is(third.position, 1);
});

test('a sign of life keeps the link, and tells what comes next', async () => {
  const feeder = await enrolled();
  const before = await intake.standing(feeder, ORIGIN);
  assert.equal([before.feeder, before.nextSequence, before.grantedBytes], ['hsm-1', 1, 65_536]);
  await send(feeder, 1);
  assert.is((await intake.standing(feeder, ORIGIN)).nextSequence, 2);
  assert.is(bench.admission.linkOf(feeder.id).link, 'connected');
});

test('who asks and has nothing to send holds no grant, so that its silence is no fault', async () => {
  const feeder = await enrolled();
  for (let asked = 0; asked < 10; asked++) {
    assert.is((await intake.standing(feeder, ORIGIN)).grantedBytes, 65_536);
    await bench.clock.advance(30_000);
  }
  assert.is(bench.admission.linkOf(feeder.id).link, 'connected');
  assert.is(bench.told('entropy.data.timeout').length, 0);
});

test('a feeder that comes by the other door takes its session along', async () => {
  const key = await bench.enroll('hsm-1');
  const { id } = bench.enrolment.named('hsm-1');
  const feeder = { id, name: 'hsm-1' };
  await send(feeder, 1);
  const client = await bench.connected('hsm-1', key);
  assert.is(bench.admission.feedersConnected, 1);
  await send(feeder, 2);
  await client.closed;
  assert.is(bench.admission.feedersConnected, 1);
});

test('without bit 8 nothing is taken, and that is said', async () => {
  await bench.close();
  bench = await FeedBench.open({ admission: { mask: 4 } });
  intake = intakeOf(bench);
  await rejectsWith(send(await enrolled(), 1), 'external-disabled');
});

test('after a mark that cannot be kept another session begins, and the entropy is wiped', async () => {
  const feeder = await enrolled();
  const first = await send(feeder, 1);
  bench.marks.failure = new EntropyError('state-unwritable', 'disk full');
  const payload = entropy();
  await rejectsWith(send(feeder, 2, payload), 'state-unwritable');
  assert.ok(isAllZero(payload));
  bench.marks.failure = undefined;
  const next = await intake.standing(feeder, ORIGIN);
  const again = await send(feeder, next.nextSequence);
  assert.not.equal(again.session, first.session);
});

test('entropy comes in 32 to 65,536 bytes, and is wiped whatever becomes of it', async () => {
  const feeder = await enrolled();
  for (const length of [0, 31, 65_537]) {
    const turn = await intake.begin(feeder, { sequence: 1, lengthBytes: undefined }, ORIGIN);
    const payload = entropy(length);
    await rejectsWith(turn.take(payload, KEY), 'request-invalid');
    assert.ok(isAllZero(payload));
  }
  for (const [at, length] of [32, 65_536].entries()) {
    const payload = entropy(length);
    assert.is((await send(feeder, at + 1, payload)).payloadBytes, length);
    assert.ok(isAllZero(payload));
  }
});

test.run();
