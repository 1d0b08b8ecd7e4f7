import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FeederClass } from '../../src/base/names.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { Enrolment } from '../../src/state/enrolment.ts';
import { MAXIMUM_FEEDERS, type FeederTerms } from '../../src/state/feeder-record.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const random = seededSource('enrolment');
const clock = new FakeClock();

const NOISE: FeederTerms = {
  class: 'noise',
  rateUnits: 1024,
  certificate: '',
  maximumBytesPerSecond: undefined,
  weight: 1,
};

function openArchive(files: DurableFiles): Promise<StateArchive> {
  return StateArchive.open({ mode: 'NONE' }, { files, random, wrappings: [new NoneWrapping({ random })] });
}

async function open(files: DurableFiles = new SimulatedFiles()): Promise<Enrolment> {
  return Enrolment.open({ archive: await openArchive(files), random, clock });
}

function keyOf(enrolment: Enrolment, name: string): string {
  return Buffer.from(enrolment.candidates(name).current).toString('hex');
}

/** The documents, as another version or an accident might have left them. */
function register(content: object): Buffer {
  return Buffer.from(JSON.stringify(content));
}

function keys(count: number): Buffer {
  const document = Buffer.alloc(8 + count * 69, 0);
  document.write('EMFKEYS\x01', 'latin1');
  for (let entry = 0; entry < count; entry++) {
    document.writeUInt32BE(entry + 1, 8 + entry * 69);
    document.fill(1, 8 + entry * 69 + 5, 8 + entry * 69 + 37);
  }
  return document;
}

test('an enrolled feeder is enabled, has a key of 32 bytes, and is there after a restart', async () => {
  const files = new SimulatedFiles();
  const first = await open(files);
  const { record, key } = await first.enroll('hsm-1', NOISE);
  assert.equal(record, {
    id: 1,
    door: 0,
    name: 'hsm-1',
    ...NOISE,
    state: 'enabled',
    createdMs: clock.wallMs(),
  });
  assert.is(key.length, 32);
  const second = await open(files);
  assert.equal(second.list(), [record]);
  assert.is(keyOf(second, 'hsm-1'), key.toString('hex'));
});

test('an id is never given twice, also after revocation and a restart; a door is', async () => {
  const files = new SimulatedFiles();
  const first = await open(files);
  await first.enroll('a', NOISE);
  await first.enroll('b', NOISE);
  await first.revoke('a');
  await first.revoke('b');
  const second = await open(files);
  const { record } = await second.enroll('c', NOISE);
  assert.equal([record.id, record.door], [3, 0]);
  assert.is((await second.enroll('d', NOISE)).record.id, 4);
});

/** The rules of each class at their edges: rate in 1/1024 bit per byte, certificate, and whether that is taken. */
const RULES: readonly [FeederClass, number, string, boolean][] = [
  ['full-entropy', 8192, 'ESV E123', true],
  ['full-entropy', 8193, 'ESV E123', false],
  ['full-entropy', 8192, '', false],
  ['noise', 1, '', true],
  ['noise', 0, '', false],
  ['noise', 8192, '', true],
  ['noise', 8193, '', false],
  ['noise', 1.5, '', false],
  ['drbg', 32, '', true],
  ['drbg', 33, '', false],
  ['public', 0, '', true],
  ['public', 1, '', false],
  ['host-derived', 0, '', true],
  ['host-derived', 1, '', false],
  ['noise', 1, 'x'.repeat(200), true],
  ['noise', 1, 'x'.repeat(201), false],
  ['noise', 1, 'a\u001b[2J', false],
];

for (const [feederClass, rateUnits, certificate, taken] of RULES) {
  const what = `${feederClass} at ${rateUnits}/1024 bit with a certificate of ${certificate.length}`;
  test(`${what} is ${taken ? 'taken' : 'refused'}`, async () => {
    const work = (await open()).enroll('hsm', { ...NOISE, class: feederClass, rateUnits, certificate });
    if (taken) await work;
    else await rejectsWith(work, 'feeder-class-refused');
  });
}

test('names, weights, rates and imported keys are bounded; a name is given once', async () => {
  const enrolment = await open();
  for (const name of ['', '-a', 'A', 'a b', 'a'.repeat(33)])
    await rejectsWith(enrolment.enroll(name, NOISE), 'request-invalid');
  await enrolment.enroll('a'.repeat(32), NOISE);
  await rejectsWith(enrolment.enroll('a'.repeat(32), NOISE), 'feeder-exists');
  for (const terms of [
    { weight: 0 },
    { weight: 101 },
    { maximumBytesPerSecond: 31 },
    { maximumBytesPerSecond: 2 ** 30 + 1 },
  ])
    await rejectsWith(enrolment.enroll('b', { ...NOISE, ...terms }), 'request-invalid');
  for (const key of [new Uint8Array(31), new Uint8Array(33), new Uint8Array(32)])
    await rejectsWith(enrolment.enroll('b', NOISE, key), 'request-invalid');
  const imported = Buffer.alloc(32, 9);
  await enrolment.enroll('b', NOISE, imported);
  imported.fill(0);
  assert.is(keyOf(enrolment, 'b'), '09'.repeat(32));
});

test('as many feeders as there are doors, and no more', async () => {
  const archive = await openArchive(new SimulatedFiles());
  const feeders = Array.from({ length: MAXIMUM_FEEDERS - 1 }, (_, index) => ({
    ...{ id: index + 1, door: index, name: `f${index}`, ...NOISE, state: 'enabled', createdMs: 0 },
  }));
  await archive.save('feeders.json', register({ version: 1, nextId: MAXIMUM_FEEDERS, feeders }));
  await archive.save('feeders.keys', keys(MAXIMUM_FEEDERS - 1));
  const enrolment = Enrolment.open({ archive, random, clock });
  assert.is((await enrolment.enroll('last', NOISE)).record.door, MAXIMUM_FEEDERS - 1);
  await rejectsWith(enrolment.enroll('one-more', NOISE), 'feeder-limit');
  await enrolment.revoke('f500');
  assert.is((await enrolment.enroll('one-more', NOISE)).record.door, 500);
});

test('a rotated key stands beside the old one until it is used, then alone, durably', async () => {
  const files = new SimulatedFiles();
  const enrolment = await open(files);
  const { record, key: old } = await enrolment.enroll('hsm', NOISE);
  const { key } = await enrolment.rotate('hsm');
  const both = (await open(files)).candidates('hsm');
  assert.equal([Buffer.from(both.current), Buffer.from(both.next)], [old, key]);
  await enrolment.completeRotation(record.id, key);
  await enrolment.completeRotation(record.id, key);
  const one = (await open(files)).candidates('hsm');
  assert.equal([Buffer.from(one.current), Buffer.from(one.next)], [key, key]);
  await rejectsWith(enrolment.rotate('hsm', key), 'request-invalid');
});

test('another rotation while a new key is being used leaves the used one valid, and the newest waiting', async () => {
  const files = new SimulatedFiles();
  const enrolment = await open(files);
  const { record } = await enrolment.enroll('hsm', NOISE);
  const { key: used } = await enrolment.rotate('hsm');
  const rotated = enrolment.rotate('hsm');
  // As a proof is: the view of a key that the rotation before it in the queue is about to wipe.
  await enrolment.completeRotation(record.id, enrolment.candidates('hsm').next);
  const { key: newest } = await rotated;
  for (const one of [enrolment, await open(files)]) {
    const { current, next } = one.candidates('hsm');
    assert.equal([Buffer.from(current), Buffer.from(next)], [used, newest]);
  }
  await enrolment.completeRotation(record.id, newest);
  assert.is(keyOf(enrolment, 'hsm'), newest.toString('hex'));
  await enrolment.completeRotation(record.id, used);
  assert.is(keyOf(enrolment, 'hsm'), newest.toString('hex'));
});

test('an unknown name has two keys to be tried, that nobody has, and no record', async () => {
  const { record, current, next } = (await open()).candidates('nobody');
  assert.is(record, undefined);
  assert.equal([current.length, next.length], [32, 32]);
  assert.ok(current.some((byte) => byte !== 0));
});

test('when the disk refuses, all is as before, and the key that was made is wiped', async () => {
  const files = new SimulatedFiles();
  const enrolment = await open(files);
  const { key } = await enrolment.enroll('hsm', NOISE);
  files.fault = failing('write');
  await rejectsWith(enrolment.enroll('other', NOISE), 'state-unwritable');
  await rejectsWith(enrolment.rotate('hsm'), 'state-unwritable');
  await rejectsWith(enrolment.setState('hsm', 'disabled'), 'state-unwritable');
  await rejectsWith(enrolment.revoke('hsm'), 'state-unwritable');
  files.fault = undefined;
  assert.equal(
    enrolment.list().map(({ name, state }) => `${name} ${state}`),
    ['hsm enabled'],
  );
  assert.equal([keyOf(enrolment, 'hsm'), enrolment.isRotating(1)], [key.toString('hex'), false]);
  await enrolment.setState('hsm', 'disabled');
  assert.is((await open(files)).named('hsm').state, 'disabled');
});

test('host id and receipt key are made once, and stay', async () => {
  const files = new SimulatedFiles();
  const first = await (await open(files)).identity();
  assert.equal([first.host.length, first.receiptSeed.length], [16, 32]);
  assert.equal(await (await open(files)).identity(), first);
  first.receiptSeed.fill(0);
  const unwritable = new SimulatedFiles();
  const enrolment = await open(unwritable);
  unwritable.fault = failing('write');
  await rejectsWith(enrolment.identity(), 'state-unwritable');
});

test('documents that do not fit each other or their format are refused, and so is every change', async () => {
  const feeder = { id: 1, door: 0, name: 'a', ...NOISE, state: 'enabled', createdMs: 0 };
  const good = { version: 1, nextId: 2, feeders: [feeder] };
  const cases: [Buffer, Buffer | undefined, string][] = [
    [register(good), keys(1), ''],
    [register(good), undefined, 'state-damaged'],
    [register(good), keys(0), 'state-damaged'],
    [register(good), keys(1).subarray(0, -1), 'state-damaged'],
    [register({ ...good, nextId: 1 }), keys(1), 'state-damaged'],
    [register({ ...good, feeders: [{ ...feeder, rateUnits: 8193 }] }), keys(1), 'state-damaged'],
    [
      register({ ...good, feeders: [feeder, { ...feeder, id: 2, name: 'b' }], nextId: 3 }),
      keys(2),
      'state-damaged',
    ],
    [register({ ...good, version: 2 }), keys(1), 'state-version-newer'],
    [Buffer.from('nonsense'), keys(1), 'state-damaged'],
  ];
  for (const [feeders, keyDocument, code] of cases) {
    const archive = await openArchive(new SimulatedFiles());
    await archive.save('feeders.json', feeders);
    if (keyDocument !== undefined) await archive.save('feeders.keys', keyDocument);
    const enrolment = Enrolment.open({ archive, random, clock });
    assert.is(enrolment.refused?.code ?? '', code);
    if (code === '') continue;
    assert.equal(enrolment.list(), []);
    await rejectsWith(enrolment.enroll('b', NOISE), enrolment.refused!.code);
    await rejectsWith(enrolment.identity(), enrolment.refused!.code);
  }
});

test('closing wipes every key', async () => {
  const enrolment = await open();
  await enrolment.enroll('hsm', NOISE);
  const { current } = enrolment.candidates('hsm');
  await enrolment.close();
  assert.ok(current.every((byte) => byte === 0));
  await rejectsWith(enrolment.enroll('b', NOISE), 'state-unwritable');
});

test.run();
