import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FEEDER_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { FeederHandshake } from '../../src/protocol/handshake.ts';
import { publicBytesOf } from '../../src/protocol/raw-keys.ts';
import { throwsWith } from '../rejects.ts';
import { FeedClient, fresh, random } from './feed-bench-client.ts';
import { FeedBench, PEER } from './feed-bench.ts';

/** How a session begins: who gets in, who does not, and what each is told. */

const SAME_TERMS = { class: 'noise', bitsPerByte: 1 } as const;

let bench: FeedBench;

test.before.each(async () => {
  bench = await FeedBench.open();
});
test.after.each(async () => {
  await bench.close();
});

test('a proven feeder gets a welcome and a grant; a frame is cached and receipted, and the session ended by a signed record', async () => {
  const client = await bench.proven();
  assert.equal(client.hellos[0]!.external, 'enabled');
  assert.equal([client.welcome!.nextSequence, client.welcome!.lastReceipt], [1, undefined]);
  const payload = fresh(64);
  const message = client.send(payload);
  const [receipt] = await client.receipt();
  assert.equal(
    [receipt!.kind, receipt!.verdict, receipt!.sequence, receipt!.payloadBytes, receipt!.memoryBytes],
    ['frame', 'accepted', 1, 64, 64],
  );
  assert.is(receipt!.creditUnits, 64 * 1024);
  assert.equal(receipt!.frameDigest, createHash('sha256').update(message).digest());
  assert.equal(bench.port.frames, [
    { feeder: 1, door: 0, rateUnits: 1024, text: Buffer.from(payload).toString('hex') },
  ]);
  client.send(new Uint8Array(0), FEEDER_FRAMES.close);
  assert.equal(await client.closed, { code: 1000, reason: 'end' });
  assert.is(client.receipts.at(-1)!.kind, 'end');
  assert.equal(client.of('close'), [{ kind: 'close', code: 'end' }]);
});

test('an unknown feeder, a wrong key and an altered proof get one and the same answer', async () => {
  const key = await bench.enroll('known');
  const wrong = Buffer.alloc(32, 7);
  const answers: string[] = [];
  for (const [name, tried] of [
    ['unknown', wrong],
    ['known', wrong],
  ] as const) {
    const client = bench.client(name, tried);
    await client.handshake().catch(() => undefined);
    const { code, reason } = await client.closed;
    answers.push(`${code} ${reason}`);
  }
  const altered = bench.client('known', key);
  // One digit of the proof itself.
  await altered
    .handshake((proof) =>
      Buffer.from(
        proof.toString().replace(/"proof":"(.)/, (_, digit) => `"proof":"${digit === '0' ? '1' : '0'}`),
      ),
    )
    .catch(() => undefined);
  answers.push(Object.values(await altered.closed).join(' '));
  assert.is(new Set(answers).size, 1, answers.join('\n'));
  assert.is(answers[0], '4401 feeder-unauthenticated: the proof does not match');
  assert.is(bench.counters.value('feeder.handshakes.failed'), 3);
});

test('the proof must come within 5 seconds, to the millisecond', async () => {
  const client = bench.client('nobody', Buffer.alloc(32, 1));
  await client.hello();
  await bench.clock.advance(4_999);
  assert.is(client.socket.readyState, client.socket.OPEN);
  await bench.clock.advance(1);
  await client.refusedWith('feed-handshake-timeout', 4408);
});

test('a proof must be text, of its layout; nothing may come before the welcome', async () => {
  const binary = bench.client('nobody', Buffer.alloc(32, 1));
  await binary.hello();
  binary.socket.send(Buffer.alloc(64));
  await binary.refusedWith('feed-handshake-invalid', 4400);
  const nonsense = bench.client('nobody', Buffer.alloc(32, 1));
  await nonsense.hello();
  nonsense.socket.send('{"type":"proof"}');
  await nonsense.refusedWith('feed-handshake-invalid', 4400);
  assert.is(bench.counters.value('feeder.connections.refused'), 2);
});

test('a proof and frames that were recorded at one host are refused at another that has the same feeder and key', async () => {
  const other = await FeedBench.open();
  try {
    const key = Buffer.alloc(32, 9);
    for (const host of [bench, other]) await host.registry.enroll('hsm-1', SAME_TERMS, key, PEER);
    let proof: Buffer = Buffer.alloc(0);
    const recorded = bench.client('hsm-1', key);
    await recorded.handshake((sent) => (proof = sent));
    const frame = recorded.send(fresh(64));
    await recorded.receipt();

    const replayed = other.client('hsm-1', key);
    await replayed.handshake(() => proof).catch(() => undefined);
    await replayed.refusedWith('feeder-unauthenticated', 4401);
    const genuine = await other.connected('hsm-1', key);
    await genuine.granted();
    genuine.socket.send(frame);
    await genuine.refusedWith('feed-frame-unauthentic', 4400);
    assert.equal([bench.port.frames.length, other.port.frames.length], [1, 0]);
    const { frames, creditedUnits } = other.admission.figuresOf(1);
    assert.equal([frames, creditedUnits], [0, 0]);
    // The feeder itself tells the hosts apart before it proves anything.
    const astray = new FeedClient(other, 'hsm-1', key);
    other.clients.push(astray);
    const { host, receiptKey } = await bench.admission.identity();
    const enrolled = { feeder: 'hsm-1', key, host, receiptKey: publicBytesOf(receiptKey) };
    const handshake = new FeederHandshake(enrolled, { random });
    const hello = await astray.hello();
    throwsWith(() => handshake.answer(hello), 'feeder-unauthenticated');
  } finally {
    await other.close();
  }
});

test('the new key of a rotation takes the place of the old one when it is used', async () => {
  const old = await bench.enroll('hsm-1');
  const { key } = await bench.enrolment.rotate('hsm-1');
  await bench.connected('hsm-1', old);
  assert.ok(bench.enrolment.isRotating(1));
  await bench.connected('hsm-1', key);
  assert.not(bench.enrolment.isRotating(1));
  const client = bench.client('hsm-1', old);
  await client.handshake().catch(() => undefined);
  await client.refusedWith('feeder-unauthenticated', 4401);
});

test('with external entropy disabled the hello says so, and nothing is granted', async () => {
  await bench.close();
  bench = await FeedBench.open({ admission: { mask: 4 } });
  const key = await bench.enroll('hsm-1');
  const client = await bench.connected('hsm-1', key);
  assert.equal([client.hellos[0]!.external, client.hellos[0]!.mask], ['disabled', 4]);
  client.ping();
  await client.until(() => client.of('pong').length > 0);
  assert.equal(client.of('grant'), []);
  client.send(fresh(32));
  await client.refusedWith('feed-grant-exceeded', 4429);
});

test.run();
