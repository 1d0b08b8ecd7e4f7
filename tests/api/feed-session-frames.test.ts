import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FEEDER_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { settle } from '../fakes/fake-clock.ts';
import { fresh, type FeedClient } from './feed-bench-client.ts';
import { FeedBench } from './feed-bench.ts';

/** What becomes of the frames of a session, right and wrong. */

let bench: FeedBench;

test.before.each(async () => {
  bench = await FeedBench.open();
});
test.after.each(async () => {
  await bench.close();
});

const FAULTS: readonly [string, (client: FeedClient) => void, string, number][] = [
  ['replayed', (client) => client.socket.send(client.send(fresh(64))), 'feed-sequence-wrong', 4409],
  [
    'reordered',
    (client) => {
      const { sealer } = client.session!;
      const frames = [0, 1].map(() => sealer.seal(FEEDER_FRAMES.data, fresh(64)));
      client.socket.send(frames[1]!);
    },
    'feed-sequence-wrong',
    4409,
  ],
  [
    'altered',
    (client) => {
      const message = client.session!.sealer.seal(FEEDER_FRAMES.data, fresh(64));
      message[20] = message[20]! ^ 1;
      client.socket.send(message);
    },
    'feed-frame-unauthentic',
    4400,
  ],
  [
    'truncated',
    (client) =>
      client.socket.send(client.session!.sealer.seal(FEEDER_FRAMES.data, fresh(64)).subarray(0, -1)),
    'feed-frame-unauthentic',
    4400,
  ],
  ['too short for a frame', (client) => client.socket.send(Buffer.alloc(24)), 'feed-frame-invalid', 4400],
  ['of text', (client) => client.socket.send('hello'), 'feed-frame-invalid', 4400],
  ['of 31 bytes', (client) => void client.send(fresh(31)), 'feed-frame-invalid', 4400],
  ['of an unknown type', (client) => void client.send(fresh(64), 9), 'feed-frame-invalid', 4400],
];

for (const [what, act, code, closeCode] of FAULTS) {
  test(`a frame ${what} is refused with ${code}, and nothing of it reaches the engine`, async () => {
    const client = await bench.proven();
    const before = what === 'replayed' ? 1 : 0;
    act(client);
    await client.refusedWith(code, closeCode);
    assert.is(bench.port.frames.length, before);
    assert.is(bench.counters.value('feeder.frames.refused'), 1);
    assert.equal(
      client.of('close').map((frame) => frame.code),
      [code],
    );
    assert.is(bench.told('feeder.refused')[0]!.code, code);
  });
}

test('a frame of the host sent back, and one of another session, are unauthentic', async () => {
  const key = await bench.enroll('hsm-1');
  const first = await bench.connected('hsm-1', key);
  await first.granted();
  const old = first.session!.sealer.seal(FEEDER_FRAMES.data, fresh(64));
  const second = await bench.connected('hsm-1', key);
  await second.granted();
  second.socket.send(old);
  await second.refusedWith('feed-frame-unauthentic', 4400);
  const third = await bench.connected('hsm-1', key);
  let grant: Buffer | undefined;
  third.socket.on('message', (data: Buffer) => (grant ??= data));
  bench.admission.levelChanged({ level: 'normal', cachedPercent: 50 });
  await third.until(() => grant !== undefined);
  third.socket.send(grant!);
  await third.refusedWith('feed-frame-unauthentic', 4400);
  assert.is(bench.port.frames.length, 0);
});

test('a payload that came before is worth nothing, is not cached, and raises an event, whoever sends it', async () => {
  const first = await bench.proven('one');
  const second = await bench.proven('two');
  const payload = fresh(64);
  first.send(payload);
  await first.receipt();
  second.send(payload);
  const [receipt] = await second.receipt();
  assert.equal([receipt!.verdict, receipt!.creditUnits, receipt!.memoryBytes], ['duplicate', 0, 0]);
  assert.is(bench.port.frames.length, 1);
  assert.equal(bench.told('feeder.duplicate'), [{ feeder: 'two' }]);
  assert.is(bench.counters.value('feeder.frames.duplicate'), 1);
});

test('a feeder that repeats one payload is told a few times, then suspended', async () => {
  const client = await bench.proven();
  const payload = fresh(64);
  for (let frame = 0; frame < 65; frame++) client.send(payload);
  await client.refusedWith('feeder-suspended', 4403);
  assert.is(bench.told('feeder.duplicate').length, 1);
  assert.is(bench.counters.value('feeder.frames.duplicate'), 64);
  assert.match(String(bench.told('feeder.suspended')[0]!.reason), /^64 payloads in a row/);
});

test('at most 32 frames of a feeder are under way, receipts come in order however long each takes', async () => {
  const client = await bench.proven();
  bench.port.hold = true;
  for (let frame = 0; frame < 40; frame++) client.send(fresh(64));
  while (bench.port.heldFrames < 32) await settle();
  await settle();
  assert.is(bench.port.heldFrames, 32);
  while (client.of('receipt').length < 40) {
    bench.port.letGo(7);
    await settle();
  }
  assert.equal(
    client.receipts.map(({ sequence }) => sequence),
    Array.from({ length: 40 }, (_, index) => index + 1),
  );
});

test('no plaintext is left in a buffer of the network side', async () => {
  const client = await bench.proven();
  bench.seen.sawBefore = (payload) => {
    kept.push(payload);
    return false;
  };
  const kept: Uint8Array[] = [];
  client.send(fresh(64));
  await client.receipt();
  assert.is(kept.length, 1);
  assert.ok(kept[0]!.every((byte) => byte === 0));
});

test.run();
