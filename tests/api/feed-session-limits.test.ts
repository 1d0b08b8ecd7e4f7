import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeAsk, FEEDER_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { fresh } from './feed-bench-client.ts';
import { FeedBench } from './feed-bench.ts';

/** What a feeder may do at the most, each at its last permitted one: sizes, parts, grants, rates, pings and asks. */

let bench: FeedBench;

test.before.each(async () => {
  bench = await FeedBench.open();
});
test.after.each(async () => {
  await bench.close();
});

test('32 and 65,536 bytes are the smallest and largest frame; one byte more is too large for a message', async () => {
  const client = await bench.proven();
  client.send(fresh(32));
  client.send(fresh(65_536));
  await client.receipt(2);
  assert.equal(
    client.receipts.map(({ payloadBytes }) => payloadBytes),
    [32, 65_536],
  );
  client.socket.send(Buffer.alloc(65_536 + 26));
  assert.is((await client.closed).code, 1009);
  assert.is(bench.counters.value('feeder.frames.refused'), 1);
  assert.is(bench.told('feeder.refused')[0]!.code, 'payload-too-large');
});

test('a message in 16 parts is taken, in 17 refused', async () => {
  const key = await bench.enroll('hsm-1');
  const client = await bench.connected('hsm-1', key);
  await client.granted();
  const inParts = (parts: number): void => {
    const message = client.session!.sealer.seal(FEEDER_FRAMES.data, fresh(64));
    for (let part = 0; part < parts; part++) {
      const last = part === parts - 1;
      client.socket.send(last ? message.subarray(part) : message.subarray(part, part + 1), { fin: last });
    }
  };
  inParts(16);
  await client.receipt();
  inParts(17);
  assert.is((await client.closed).code, 1008);
  assert.is(bench.port.frames.length, 1);
});

test('more than was granted is refused: the last granted byte is taken, one frame more is not', async () => {
  await bench.close();
  bench = await FeedBench.open();
  bench.port.roomBytes = 4_096;
  bench.admission.roomChanged(4_096);
  const client = await bench.proven();
  const [grant] = client.of('grant');
  assert.equal([grant!.grant.totalBytes, grant!.grant.totalFrames], [4_096, 18]);
  client.send(fresh(4_096));
  await client.receipt();
  client.send(fresh(32));
  await client.refusedWith('feed-grant-exceeded', 4429);
  assert.is(bench.port.frames.length, 1);
});

test('a grant lapses: after it and the time under way nothing is taken until the next', async () => {
  const client = await bench.proven();
  bench.port.roomBytes = 0;
  bench.admission.roomChanged(0);
  await bench.clock.advance(12_000);
  client.send(fresh(32));
  await client.refusedWith('feed-grant-exceeded', 4429);
});

test('frames per second are bounded: the last within is answered, one more ends the connection', async () => {
  await bench.close();
  bench = await FeedBench.open({
    admission: {
      limits: { handshakeSeconds: 5, bytesPerSecond: 1e6, framesPerSecond: 10, receiptsKept: 100 },
    },
  });
  const client = await bench.proven();
  for (let ping = 0; ping < 10; ping++) client.ping();
  await client.until(() => client.of('pong').length === 10);
  await bench.clock.advance(100);
  client.ping();
  await client.until(() => client.of('pong').length === 11);
  client.ping();
  await client.refusedWith('feed-rate-exceeded', 4429);
});

test('bytes per second are bounded by the enrolment', async () => {
  const key = await bench.enroll('slow', { maximumBytesPerSecond: 1_000 });
  const client = await bench.connected('slow', key);
  const [grant] = await client.granted();
  // A largest frame can always come; after it the second's worth counts.
  assert.is(grant!.kind === 'grant' && grant!.grant.totalBytes, 65_536);
  client.send(fresh(65_536));
  await client.receipt();
  client.send(fresh(32));
  await client.refusedWith('feed-rate-exceeded', 4429);
});

test('a stranger that pings is ended; a feeder pays for its pings, and they do not count as heard', async () => {
  const stranger = bench.client('nobody', Buffer.alloc(32, 1));
  await stranger.hello();
  stranger.socket.ping();
  await stranger.refusedWith('feed-handshake-invalid', 4400);
  await bench.close();
  const limits = { handshakeSeconds: 5, bytesPerSecond: 1e6, framesPerSecond: 10, receiptsKept: 100 };
  bench = await FeedBench.open({ admission: { limits } });
  const client = await bench.proven();
  let pongs = 0;
  client.socket.on('pong', () => pongs++);
  for (let ping = 0; ping < 11; ping++) client.socket.ping();
  await client.refusedWith('feed-rate-exceeded', 4429);
  assert.is(pongs, 10);
});

test('an ask costs a frame for each KiB that it may be answered with', async () => {
  await bench.close();
  const limits = { handshakeSeconds: 5, bytesPerSecond: 1e6, framesPerSecond: 105, receiptsKept: 100 };
  bench = await FeedBench.open({ admission: { limits } });
  const client = await bench.proven();
  // 200 records have 51.6 KiB: twice 53 is one more than there is.
  client.send(encodeAsk(1, 200), FEEDER_FRAMES.ask);
  await client.until(() => client.of('answer').length === 1);
  client.send(encodeAsk(1, 200), FEEDER_FRAMES.ask);
  await client.refusedWith('feed-rate-exceeded', 4429);
});

test.run();
