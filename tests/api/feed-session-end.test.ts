import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError } from '../../src/base/errors.ts';
import { encodeAsk, FEEDER_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { receiptDigest } from '../../src/protocol/receipt.ts';
import { settle } from '../fakes/fake-clock.ts';
import { fresh } from './feed-bench-client.ts';
import { FeedBench, PEER } from './feed-bench.ts';

/** What ends a session that was in order, and how the next one of the feeder goes on. */

let bench: FeedBench;

test.before.each(async () => {
  bench = await FeedBench.open();
});
test.after.each(async () => {
  await bench.close();
});

test('a feeder whose frames keep failing is suspended, told so, and comes back when it is enabled', async () => {
  const key = await bench.enroll('hsm-1');
  const client = await bench.connected('hsm-1', key);
  await client.granted();
  bench.port.answer = () => ({ verdict: 'test-failed', memoryBytes: 0, storedBytes: 0, suspend: true });
  client.send(fresh(64));
  const { code, reason } = await client.closed;
  assert.is(code, 4403);
  const because = 'the door expects conditioned bytes: at least 4 bits of min-entropy per byte as they come';
  assert.is(reason, `feeder-suspended: ${because}`);
  assert.equal(bench.told('feeder.suspended'), [{ feeder: 'hsm-1', reason: because }]);
  assert.equal(
    client.receipts.map(({ verdict, kind }) => `${kind} ${verdict}`),
    ['frame test-failed', 'end accepted'],
  );
  await settle();
  assert.is(bench.enrolment.named('hsm-1').state, 'suspended');
  const refused = bench.client('hsm-1', key);
  await refused.handshake().catch(() => undefined);
  await refused.refusedWith('feeder-suspended', 4403);
  bench.port.answer = () => ({});
  await bench.registry.enable('hsm-1', PEER);
  const again = await bench.connected('hsm-1', key);
  assert.is(again.welcome!.nextSequence, 2);
});

test('a mark that cannot be kept ends the session; the frame is not used', async () => {
  const client = await bench.proven();
  bench.marks.failure = new EntropyError('state-unwritable', 'the disk is full');
  client.send(fresh(64));
  await client.refusedWith('state-unwritable', 4507);
  assert.is(bench.port.frames.length, 0);
});

test('a second connection of a feeder takes the place of the first, once what that sent was receipted', async () => {
  const key = await bench.enroll('hsm-1');
  const first = await bench.connected('hsm-1', key);
  await first.granted();
  bench.port.hold = true;
  first.send(fresh(64));
  await settle();
  const second = bench.client('hsm-1', key);
  const shaken = second.handshake();
  await first.until(() => first.socket.readyState !== first.socket.OPEN || bench.port.heldFrames > 0);
  bench.port.hold = false;
  while (bench.admission.feedersConnected > 0 && second.welcome === undefined) {
    bench.port.letGo();
    await settle();
  }
  await shaken;
  await first.refusedWith('feeder-replaced', 4409);
  assert.equal([second.welcome!.nextSequence, bench.admission.feedersConnected], [2, 1]);
  assert.equal(second.welcome!.lastReceipt, receiptDigest(first.of('receipt').at(-1)!.record));
});

test('after a lost connection the feeder goes on from the next sequence, and can ask for the receipts it missed', async () => {
  const key = await bench.enroll('hsm-1');
  const first = await bench.connected('hsm-1', key);
  await first.granted();
  bench.port.hold = true;
  for (let frame = 0; frame < 3; frame++) first.send(fresh(64));
  while (bench.port.heldFrames < 3) await settle();
  first.socket.terminate();
  bench.port.letGo();
  bench.port.hold = false;
  while (bench.admission.feedersConnected > 0) await settle();
  const second = await bench.connected('hsm-1', key);
  assert.is(second.welcome!.nextSequence, 4);
  second.send(encodeAsk(2, 200), FEEDER_FRAMES.ask);
  await second.until(() => second.of('answer').length > 0);
  const records = second.of('answer')[0]!.records;
  assert.is(records.length, 3);
  assert.equal(second.welcome!.lastReceipt, receiptDigest(records[2]!));
});

test('a proven feeder that is not heard for two timeouts is dropped', async () => {
  const client = await bench.proven();
  await bench.clock.advance(119_999);
  assert.is(client.socket.readyState, client.socket.OPEN);
  await bench.clock.advance(1);
  await client.refusedWith('feed-connection-lost', 4503);
});

test('a shorter timeout holds for sessions that are there, from when they were heard last', async () => {
  const client = await bench.proven();
  await bench.clock.advance(10_000);
  bench.admission.reconfigure(10);
  await bench.clock.advance(9_999);
  assert.is(client.socket.readyState, client.socket.OPEN);
  await bench.clock.advance(1);
  await client.refusedWith('feed-connection-lost', 4503);
});

test('an orderly stop ends every session with its signed record', async () => {
  const client = await bench.proven();
  client.send(fresh(64));
  await client.receipt();
  const closed = bench.listener.close();
  await client.refusedWith('engine-stopped', 4503);
  await closed;
  assert.is(client.receipts.at(-1)!.kind, 'end');
  assert.is(bench.server.connections, 0);
});

test.run();
