import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeAsk, FEEDER_FRAMES } from '../../src/protocol/frame-payloads.ts';
import { FeederHandshake } from '../../src/protocol/handshake.ts';
import { publicBytesOf } from '../../src/protocol/raw-keys.ts';
import { receiptDigest } from '../../src/protocol/receipt.ts';
import { settle } from '../fakes/fake-clock.ts';
import { throwsWith } from '../rejects.ts';
import { FeedBench, FeedClient, fresh, random } from './feed-bench.ts';

/** The life of a connection: who gets in, what becomes of frames, right and wrong, and how it ends. */

const PEER = { name: 'uid 0', access: 'change' } as const;
const SAME_TERMS = { class: 'noise', bitsPerByte: 1 } as const;

let bench: FeedBench;

test.before.each(async () => {
  bench = await FeedBench.open();
});
test.after.each(async () => {
  await bench.close();
});

async function connected(name = 'hsm-1'): Promise<FeedClient> {
  const key = await bench.enroll(name);
  const client = await bench.connected(name, key);
  await client.granted();
  return client;
}

/** What a client that broke a rule gets told, twice, and that nothing of it was credited. */
async function refusedWith(client: FeedClient, code: string, closeCode: number): Promise<void> {
  const { code: closedWith, reason } = await client.closed;
  assert.is(closedWith, closeCode, reason);
  assert.ok(reason.startsWith(`${code}: `), reason);
}

test('a proven feeder gets a welcome and a grant; a frame is cached and receipted, and the session ended by a signed record', async () => {
  const client = await connected();
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
  await refusedWith(client, 'feed-handshake-timeout', 4408);
});

test('a proof must be text, of its layout; nothing may come before the welcome', async () => {
  const binary = bench.client('nobody', Buffer.alloc(32, 1));
  await binary.hello();
  binary.socket.send(Buffer.alloc(64));
  await refusedWith(binary, 'feed-handshake-invalid', 4400);
  const nonsense = bench.client('nobody', Buffer.alloc(32, 1));
  await nonsense.hello();
  nonsense.socket.send('{"type":"proof"}');
  await refusedWith(nonsense, 'feed-handshake-invalid', 4400);
  assert.is(bench.counters.value('feeder.connections.refused'), 2);
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
    const client = await connected();
    const before = what === 'replayed' ? 1 : 0;
    act(client);
    await refusedWith(client, code, closeCode);
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
  await refusedWith(second, 'feed-frame-unauthentic', 4400);
  const third = await bench.connected('hsm-1', key);
  let grant: Buffer | undefined;
  third.socket.on('message', (data: Buffer) => (grant ??= data));
  bench.admission.levelChanged({ level: 'normal', cachedPercent: 50 });
  await third.until(() => grant !== undefined);
  third.socket.send(grant!);
  await refusedWith(third, 'feed-frame-unauthentic', 4400);
  assert.is(bench.port.frames.length, 0);
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
    await refusedWith(replayed, 'feeder-unauthenticated', 4401);
    const genuine = await other.connected('hsm-1', key);
    await genuine.granted();
    genuine.socket.send(frame);
    await refusedWith(genuine, 'feed-frame-unauthentic', 4400);
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

test('a stranger that pings is ended; a feeder pays for its pings, and they do not count as heard', async () => {
  const stranger = bench.client('nobody', Buffer.alloc(32, 1));
  await stranger.hello();
  stranger.socket.ping();
  await refusedWith(stranger, 'feed-handshake-invalid', 4400);
  await bench.close();
  const limits = { handshakeSeconds: 5, bytesPerSecond: 1e6, framesPerSecond: 10, receiptsKept: 100 };
  bench = await FeedBench.open({ admission: { limits } });
  const client = await connected();
  let pongs = 0;
  client.socket.on('pong', () => pongs++);
  for (let ping = 0; ping < 11; ping++) client.socket.ping();
  await refusedWith(client, 'feed-rate-exceeded', 4429);
  assert.is(pongs, 10);
});

test('an ask costs a frame for each KiB that it may be answered with', async () => {
  await bench.close();
  const limits = { handshakeSeconds: 5, bytesPerSecond: 1e6, framesPerSecond: 105, receiptsKept: 100 };
  bench = await FeedBench.open({ admission: { limits } });
  const client = await connected();
  // 200 records have 51.6 KiB: twice 53 is one more than there is.
  client.send(encodeAsk(1, 200), FEEDER_FRAMES.ask);
  await client.until(() => client.of('answer').length === 1);
  client.send(encodeAsk(1, 200), FEEDER_FRAMES.ask);
  await refusedWith(client, 'feed-rate-exceeded', 4429);
});

test('a feeder that repeats one payload is told a few times, then suspended', async () => {
  const client = await connected();
  const payload = fresh(64);
  for (let frame = 0; frame < 65; frame++) client.send(payload);
  await refusedWith(client, 'feeder-suspended', 4403);
  assert.is(bench.told('feeder.duplicate').length, 1);
  assert.is(bench.counters.value('feeder.frames.duplicate'), 64);
  assert.match(String(bench.told('feeder.suspended')[0]!.reason), /^64 payloads in a row/);
});

test('32 and 65,536 bytes are the smallest and largest frame; one byte more is too large for a message', async () => {
  const client = await connected();
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
  const client = await connected();
  const [grant] = client.of('grant');
  assert.equal([grant!.grant.totalBytes, grant!.grant.totalFrames], [4_096, 18]);
  client.send(fresh(4_096));
  await client.receipt();
  client.send(fresh(32));
  await refusedWith(client, 'feed-grant-exceeded', 4429);
  assert.is(bench.port.frames.length, 1);
});

test('a grant lapses: after it and the time under way nothing is taken until the next', async () => {
  const client = await connected();
  bench.port.roomBytes = 0;
  bench.admission.roomChanged(0);
  await bench.clock.advance(12_000);
  client.send(fresh(32));
  await refusedWith(client, 'feed-grant-exceeded', 4429);
});

test('frames per second are bounded: the last within is answered, one more ends the connection', async () => {
  await bench.close();
  bench = await FeedBench.open({
    admission: {
      limits: { handshakeSeconds: 5, bytesPerSecond: 1e6, framesPerSecond: 10, receiptsKept: 100 },
    },
  });
  const client = await connected();
  for (let ping = 0; ping < 10; ping++) client.ping();
  await client.until(() => client.of('pong').length === 10);
  await bench.clock.advance(100);
  client.ping();
  await client.until(() => client.of('pong').length === 11);
  client.ping();
  await refusedWith(client, 'feed-rate-exceeded', 4429);
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
  await refusedWith(client, 'feed-rate-exceeded', 4429);
});

test('a payload that came before is worth nothing, is not cached, and raises an event, whoever sends it', async () => {
  const first = await connected('one');
  const second = await connected('two');
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
  await refusedWith(refused, 'feeder-suspended', 4403);
  bench.port.answer = () => ({});
  await bench.registry.enable('hsm-1', PEER);
  const again = await bench.connected('hsm-1', key);
  assert.is(again.welcome!.nextSequence, 2);
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
  await refusedWith(first, 'feeder-replaced', 4409);
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

test('at most 32 frames of a feeder are under way, receipts come in order however long each takes', async () => {
  const client = await connected();
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
  const client = await connected();
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

test('the new key of a rotation takes the place of the old one when it is used', async () => {
  const old = await bench.enroll('hsm-1');
  const { key } = await bench.enrolment.rotate('hsm-1');
  await bench.connected('hsm-1', old);
  assert.ok(bench.enrolment.isRotating(1));
  await bench.connected('hsm-1', key);
  assert.not(bench.enrolment.isRotating(1));
  const client = bench.client('hsm-1', old);
  await client.handshake().catch(() => undefined);
  await refusedWith(client, 'feeder-unauthenticated', 4401);
});

test('a mark that cannot be kept ends the session; the frame is not used', async () => {
  const client = await connected();
  const { EntropyError } = await import('../../src/base/errors.ts');
  bench.marks.failure = new EntropyError('state-unwritable', 'the disk is full');
  client.send(fresh(64));
  await refusedWith(client, 'state-unwritable', 4507);
  assert.is(bench.port.frames.length, 0);
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
  await refusedWith(client, 'feed-grant-exceeded', 4429);
});

test('a proven feeder that is not heard for two timeouts is dropped', async () => {
  const client = await connected();
  await bench.clock.advance(119_999);
  assert.is(client.socket.readyState, client.socket.OPEN);
  await bench.clock.advance(1);
  await refusedWith(client, 'feed-connection-lost', 4503);
});

test('a shorter timeout holds for sessions that are there, from when they were heard last', async () => {
  const client = await connected();
  await bench.clock.advance(10_000);
  bench.admission.reconfigure(10);
  await bench.clock.advance(9_999);
  assert.is(client.socket.readyState, client.socket.OPEN);
  await bench.clock.advance(1);
  await refusedWith(client, 'feed-connection-lost', 4503);
});

test('an orderly stop ends every session with its signed record', async () => {
  const client = await connected();
  client.send(fresh(64));
  await client.receipt();
  const closed = bench.listener.close();
  await refusedWith(client, 'engine-stopped', 4503);
  await closed;
  assert.is(client.receipts.at(-1)!.kind, 'end');
  assert.is(bench.server.connections, 0);
});

test.run();
