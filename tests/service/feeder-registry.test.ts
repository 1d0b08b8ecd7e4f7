import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError } from '../../src/base/errors.ts';
import type { Peer } from '../../src/contract/control-service.ts';
import type { FeederEnrolment } from '../../src/contract/feeders.ts';
import { parseEnrolment } from '../../src/protocol/enrolment-file.ts';
import { settle } from '../fakes/fake-clock.ts';
import { fresh } from '../api/feed-bench-client.ts';
import { FeedBench } from '../api/feed-bench.ts';
import { rejectsWith } from '../rejects.ts';

/** What operators do with feeders, and what connected ones feel of it. */

const PEER: Peer = { name: 'uid 0, pid 1', access: 'change' };
const NOISE: FeederEnrolment = { class: 'noise', bitsPerByte: 1 };

let bench: FeedBench;

test.before.each(async () => {
  bench = await FeedBench.open();
});
test.after.each(async () => {
  await bench.close();
});

test('the enrolment file that is answered is all a feeder needs', async () => {
  const file = await bench.registry.enroll('hsm-1', NOISE, undefined, PEER);
  const { url, feeder, host, receiptKey, key } = parseEnrolment(file);
  assert.equal([url, feeder], [bench.url, 'hsm-1']);
  const told = await bench.registry.receiptKey();
  assert.equal([host.toString('hex'), receiptKey.toString('hex')], [told.host, told.key]);
  const client = await bench.connected('hsm-1', key);
  client.send(fresh(64));
  await client.receipt();
  assert.equal(bench.told('feeder.enrolment.changed'), [
    { feeder: 'hsm-1', change: 'enrolled', class: 'noise', bitsPerByte: 1, by: PEER.name },
  ]);
});

test('an imported key of 32 bytes is the one in the file', async () => {
  const imported = Buffer.alloc(32, 5);
  const file = await bench.registry.enroll('hsm-1', NOISE, imported, PEER);
  assert.equal(parseEnrolment(file).key, imported);
});

test('a rate is rounded down to 1/1024 bit; what is worth nothing then is refused', async () => {
  await bench.registry.enroll('a', { class: 'noise', bitsPerByte: 1.9999 / 1024 }, undefined, PEER);
  assert.is(bench.enrolment.named('a').rateUnits, 1);
  const worthless = { class: 'noise', bitsPerByte: 0.9999 / 1024 } as const;
  await rejectsWith(bench.registry.enroll('b', worthless, undefined, PEER), 'feeder-class-refused');
});

test('the weight that room is shared by is the operator’s, and 1 when he names none', async () => {
  await bench.registry.enroll('a', { ...NOISE, weight: 100 }, undefined, PEER);
  await bench.registry.enroll('b', NOISE, undefined, PEER);
  assert.equal(
    bench.registry.list().map(({ weight }) => weight),
    [100, 1],
  );
});

test('the list tells what came from each feeder, and over which link', async () => {
  const { key } = parseEnrolment(await bench.registry.enroll('hsm-1', NOISE, undefined, PEER));
  assert.equal([bench.registry.list()[0]!.link, bench.registry.list()[0]!.lastHeardMs], ['never', null]);
  const client = await bench.connected('hsm-1', key);
  await client.granted();
  const payload = fresh(64);
  client.send(payload);
  client.send(payload);
  await client.receipt(2);
  const [report] = bench.registry.list();
  const { acceptedBytes, creditedBits, frames, refusedFrames, link, state, lastHeardMs } = report!;
  assert.equal(
    { acceptedBytes, creditedBits, frames, refusedFrames, link, state, lastHeardMs },
    {
      acceptedBytes: 64,
      creditedBits: 64,
      frames: 2,
      refusedFrames: 1,
      link: 'connected',
      state: 'enabled',
      lastHeardMs: bench.clock.wallMs(),
    },
  );
  assert.match(report!.address, /^127\.0\.0\.1:[0-9]+$/);
});

test('disabling ends the session and keeps the feeder out until it is enabled', async () => {
  const { key } = parseEnrolment(await bench.registry.enroll('hsm-1', NOISE, undefined, PEER));
  const client = await bench.connected('hsm-1', key);
  assert.is((await bench.registry.disable('hsm-1', PEER)).state, 'disabled');
  assert.match((await client.closed).reason, /^feeder-disabled: /);
  const refused = bench.client('hsm-1', key);
  await refused.handshake().catch(() => undefined);
  assert.is((await refused.closed).code, 4403);
  await bench.registry.enable('hsm-1', PEER);
  assert.ok(bench.port.calls.includes('renew door 0'));
  await bench.connected('hsm-1', key);
});

test('revoking ends the session, voids what is cached, and the name is unknown from then on', async () => {
  const { key } = parseEnrolment(await bench.registry.enroll('hsm-1', NOISE, undefined, PEER));
  const client = await bench.connected('hsm-1', key);
  await bench.registry.revoke('hsm-1', PEER);
  assert.is((await client.closed).code, 4401);
  assert.equal(bench.port.calls.slice(-2), ['void feeder 1', 'void feeder 1']);
  assert.equal(bench.registry.list(), []);
  await rejectsWith(bench.registry.revoke('hsm-1', PEER), 'feeder-unknown');
  await rejectsWith(bench.registry.rotate('hsm-1', undefined, PEER), 'feeder-unknown');
});

test('what is cached is voided before the session has ended, however long that takes', async () => {
  const { key } = parseEnrolment(await bench.registry.enroll('hsm-1', NOISE, undefined, PEER));
  const client = await bench.connected('hsm-1', key);
  await client.granted();
  bench.port.hold = true;
  client.send(fresh(64));
  while (bench.port.heldFrames === 0) await settle();
  const revoked = bench.registry.revoke('hsm-1', PEER);
  while (!bench.port.calls.includes('void feeder 1')) await settle();
  assert.is(bench.port.heldFrames, 1);
  bench.port.letGo();
  await revoked;
});

test('a revocation whose bytes could not be voided is told, and stands all the same', async () => {
  await bench.registry.enroll('hsm-1', NOISE, undefined, PEER);
  bench.port.voidFeeder = () => Promise.reject(new EntropyError('engine-stopped', 'gone'));
  await rejectsWith(bench.registry.revoke('hsm-1', PEER), 'engine-stopped');
  assert.equal(bench.registry.list(), []);
  const { change, failure } = bench.told('feeder.enrolment.changed').at(-1)!;
  assert.equal([change, failure], ['revoked', 'engine-stopped: gone']);
  assert.is(bench.admission.figuresOf(1).frames, 0);
});

test('a door that a revoked feeder had is given renewed to the next', async () => {
  await bench.registry.enroll('old', NOISE, undefined, PEER);
  await bench.registry.revoke('old', PEER);
  bench.port.calls.length = 0;
  await bench.registry.enroll('new', NOISE, undefined, PEER);
  assert.equal([bench.enrolment.named('new').door, bench.port.calls], [0, ['renew door 0']]);
});

test('room is shared: each connected feeder is granted its part, and gets more when another goes', async () => {
  const keys = [await bench.enroll('a'), await bench.enroll('b')];
  const a = await bench.connected('a', keys[0]!);
  const b = await bench.connected('b', keys[1]!);
  const [first] = await a.granted();
  const [second] = await b.granted();
  const bytes = [first, second].map((frame) => (frame?.kind === 'grant' ? frame.grant.totalBytes : 0));
  assert.equal(bytes, [524_288, 349_525]);
  assert.ok(bytes[0]! + bytes[1]! <= bench.port.roomBytes);
});

test.run();
