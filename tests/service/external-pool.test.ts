import { createHash, randomFillSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { encodeAsk, FEEDER_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { parseReceipt } from '../../src/protocol/receipt.ts';
import { RequestIntake } from '../../src/service/request-intake.ts';
import { RequestSessions } from '../../src/service/request-sessions.ts';
import { VsphereBench } from '../api/vsphere/vsphere-bench.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

/** The pool that polling clients see, over the real admission of feeders: frames, room, link and the one session of a feeder. */

const PEER = { address: '192.0.2.7:5', ipAddress: '192.0.2.7' };
let bench: VsphereBench;

test.before.each(async () => {
  bench = await VsphereBench.open();
  await bench.feed.enroll('qrng');
});
test.after.each(async () => {
  await bench.close();
});

function fresh(bytes: number): Buffer {
  return randomFillSync(Buffer.alloc(bytes));
}

function feeder(name = 'qrng') {
  return bench.feed.enrolment.named(name);
}

function frameBytes(): number[] {
  return bench.feed.port.frames.map(({ text }) => text.length / 2);
}

test('data of any length becomes frames of 32 to 65,536 bytes, in order, and is wiped', async () => {
  for (const [bytes, frames] of [
    [31, []],
    [32, [32]],
    [65_536, [65_536]],
    [65_537, [65_505, 32]],
    [65_536 + 32, [65_536, 32]],
    [200_000, [65_536, 65_536, 65_536, 3_392]],
  ] as const) {
    bench.feed.port.frames.splice(0);
    const data = fresh(bytes);
    const text = data.toString('hex');
    const addition = await bench.pool.add(feeder(), data, PEER);
    assert.equal(frameBytes(), [...frames]);
    const whole = bench.feed.port.frames.map((frame) => frame.text).join('');
    if (frames.length > 0) assert.is(whole, text);
    assert.equal(addition, {
      takenBytes: whole.length / 2,
      droppedBytes: bytes - whole.length / 2,
      failedBytes: 0,
    });
    assert.ok(data.every((byte) => byte === 0));
  }
});

test('no more is handed over than there is room for; the rest is dropped and counted', async () => {
  bench.setRoom(100_000);
  const addition = await bench.pool.add(feeder(), fresh(150_000), PEER);
  assert.is(addition.takenBytes + addition.droppedBytes, 150_000);
  assert.ok(
    addition.takenBytes <= 100_000 && addition.takenBytes > 100_000 - 4_096,
    String(addition.takenBytes),
  );
  assert.is(bench.feed.counters.value('pool.bytes.dropped'), addition.droppedBytes);
  bench.setRoom(0);
  assert.is((await bench.pool.add(feeder(), fresh(64), PEER)).droppedBytes, 64);
});

test('what came before is dropped, and what fails at the door is told apart', async () => {
  const data = fresh(64);
  const again = Buffer.from(data);
  await bench.pool.add(feeder(), data, PEER);
  assert.equal(await bench.pool.add(feeder(), again, PEER), {
    takenBytes: 0,
    droppedBytes: 64,
    failedBytes: 0,
  });
  assert.is(bench.feed.told('feeder.duplicate').length, 1);
  bench.feed.port.answer = () => ({ verdict: 'test-failed', memoryBytes: 0, storedBytes: 0 });
  assert.equal(await bench.pool.add(feeder(), fresh(64), PEER), {
    takenBytes: 0,
    droppedBytes: 0,
    failedBytes: 64,
  });
});

test('asking keeps the feeder connected; silence is told as lost, and ends its session', async () => {
  await bench.pool.heard(feeder(), PEER);
  for (let asked = 0; asked < 5; asked++) {
    await bench.feed.clock.advance(59_000);
    await bench.pool.heard(feeder(), { address: '192.0.2.8:6', ipAddress: '192.0.2.8' });
  }
  assert.is(bench.feed.admission.linkOf(1).link, 'connected');
  await bench.pool.add(feeder(), fresh(64), PEER);
  await bench.pool.heard(feeder(), { address: '192.0.2.8:6', ipAddress: '192.0.2.8' });
  assert.is(bench.feed.admission.linkOf(1).address, '192.0.2.8:6');
  await bench.feed.clock.advance(60_001);
  assert.is(bench.feed.admission.linkOf(1).link, 'lost');
  await bench.feed.clock.advance(60_000);
  assert.not(bench.feed.admission.isConnected(1));
  assert.ok(bench.feed.told('entropy.data.timeout').some(({ subject }) => subject === 'qrng'));
});

test('a program on the feed is not disturbed by asking, and gives way to adding; then it takes its place again', async () => {
  const key = await bench.feed.enroll('hsm');
  const program = await bench.feed.connected('hsm', key);
  await bench.pool.heard(feeder('hsm'), PEER);
  assert.is(program.socket.readyState, program.socket.OPEN);
  await bench.pool.add(feeder('hsm'), fresh(64), PEER);
  assert.match((await program.closed).reason, /^feeder-replaced/);
  await bench.feed.connected('hsm', key);
  assert.ok(bench.feed.told('feeder.disconnected').some(({ reason }) => reason === 'feeder-replaced'));
  assert.is(
    (await bench.pool.add(feeder('hsm'), fresh(64), PEER)).takenBytes,
    64,
    'sequences go on from each other',
  );
});

test('an account and a token of one feeder share its session', async () => {
  const { admission } = bench.feed;
  const intake = new RequestIntake({ admission, sessions: bench.requests });
  await bench.pool.add(feeder(), fresh(64), PEER);
  const turn = await intake.begin(feeder(), { sequence: 2, lengthBytes: 64 }, PEER);
  const adding = bench.pool.add(feeder(), fresh(64), PEER);
  await turn.take(fresh(64), Buffer.alloc(32, 1));
  assert.is((await adding).takenBytes, 64);
  const receipts = intake.receipts(feeder(), 1, 10).map((record) => parseReceipt(record));
  assert.equal(
    receipts.map(({ sequence, position }) => [sequence, position]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
  assert.is(bench.feed.told('feeder.connected').length, 1);
});

test('who may not feed adds nothing, and what cannot be remembered ends the session', async () => {
  await bench.feed.enrolment.setState('qrng', 'disabled');
  await rejectsWith(bench.pool.add(feeder(), fresh(64), PEER), 'feeder-disabled');
  await bench.pool.heard(feeder(), PEER);
  await bench.feed.enrolment.setState('qrng', 'enabled');
  await bench.pool.add(feeder(), fresh(64), PEER);
  bench.feed.marks.failure = new Error('the disk is full');
  const refused = await bench.pool.add(feeder(), fresh(64), PEER).catch((error: unknown) => error);
  assert.ok(refused instanceof Error);
  assert.not(bench.feed.admission.isConnected(1));
  bench.feed.marks.failure = undefined;
  assert.is((await bench.pool.add(feeder(), fresh(64), PEER)).takenBytes, 64);
});

test('another door that opens at any moment ends the session of this one, and nothing else', async () => {
  const { admission, clock } = bench.feed;
  for (let microtasks = 0; microtasks < 40; microtasks++) {
    const adding = bench.pool.add(feeder(), fresh(64), PEER).catch((error: unknown) => error);
    for (let turn = 0; turn < microtasks; turn++) await Promise.resolve();
    const other = new RequestSessions({ admission, clock, random: seededSource('another door') });
    (await other.turn(feeder(), PEER)).letGo();
    const outcome = await adding;
    // Either it was dealt with before, or it says that it was not.
    if (isEntropyError(outcome)) assert.is(outcome.code, 'feeder-replaced');
    else assert.equal(outcome, { takenBytes: 64, droppedBytes: 0, failedBytes: 0 });
    await other.close();
  }
});

test('receipts of the pool give away nothing that could be tried out, and their sessions can be told', async () => {
  const key = await bench.feed.enroll('hsm');
  const data = fresh(64);
  const digest = createHash('sha256').update(data).digest('hex');
  await bench.pool.add(feeder('hsm'), data, PEER);
  const program = await bench.feed.connected('hsm', key);
  program.send(encodeAsk(1, 1), FEEDER_FRAMES.ask);
  await program.until(() => program.of('answer').length > 0);
  const [record] = program.of('answer')[0]!.records;
  const { frameDigest, session } = parseReceipt(record!);
  assert.is.not(Buffer.from(frameDigest).toString('hex'), digest);
  assert.is(Buffer.from(session).toString('latin1', 0, 4), 'REST');
});

test('requests of one feeder that come together take their turns', async () => {
  const additions = await Promise.all([1, 2, 3, 4].map(() => bench.pool.add(feeder(), fresh(70_000), PEER)));
  assert.equal(
    additions.map(({ takenBytes }) => takenBytes),
    [70_000, 70_000, 70_000, 70_000],
  );
  assert.is(bench.feed.told('feeder.connected').length, 1);
});

test.run();
