import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { ESCROW_FILE, RecoveryDesk } from '../../src/service/recovery-desk.ts';
import { ArchiveBackup } from '../../src/service/archive-backup.ts';
import { Bootbank } from '../../src/state/bootbank.ts';
import { decodeRecoveryKey } from '../../src/state/recovery-key.ts';
import { unwrapByRecovery } from '../../src/state/recovery-wrapping.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const PEER = { name: 'uid 0, pid 7', access: 'change' } as const;
const random = seededSource();
const none = new NoneWrapping({ random });
/** Stands for a mode that protects, such as TPM. */
const sealing: KeyWrapping = {
  mode: 'TPM',
  wrap: (key) => none.wrap(key),
  unwrap: (info) => none.unwrap(info),
};
const vault = generateKeyPairSync('rsa', { modulusLength: 2048 });
const RECIPIENT = vault.publicKey.export({ type: 'spki', format: 'pem' }).toString();

interface Parts {
  readonly desk: RecoveryDesk;
  readonly archive: StateArchive;
  readonly files: SimulatedFiles;
  readonly told: string[];
  readonly clock: FakeClock;
}

/** A desk as the daemon opens it; `told` are its events as `id {detail}`. */
async function opened(files = new SimulatedFiles(), mode = 'TPM'): Promise<Parts> {
  const clock = new FakeClock();
  const bus = new EventBus({ capacity: 100 }, { clock, counters: new Counters() });
  const told: string[] = [];
  bus.subscribe(({ id, detail }) => told.push(`${id} ${JSON.stringify(detail)}`));
  const archive = await StateArchive.open({ mode }, { files, random, wrappings: [none, sealing] });
  await archive.backup();
  const desk = new RecoveryDesk({ archive, files, clock, events: bus });
  await desk.open();
  return { desk, archive, files, told, clock };
}

function idsOf(told: readonly string[]): string[] {
  return told.map((line) => line.split(' ')[0] ?? '');
}

async function opensWith(line: Uint8Array, files: DurableFiles): Promise<void> {
  const [, digits = ''] = Buffer.from(line).toString().trim().split(' ');
  const sealed = await new Bootbank({ files }).load();
  assert.is(unwrapByRecovery(sealed!.info, decodeRecoveryKey(Buffer.from(digits))).length, 32);
}

async function escrowedLine(files: DurableFiles): Promise<Buffer> {
  const bytes = (await readWhole(files, ESCROW_FILE, 2048)) ?? Buffer.alloc(0);
  return privateDecrypt(
    { key: vault.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
    bytes,
  );
}

test('shows the key that opens the archive, and tells who saw it but not what he saw', async () => {
  const { desk, files, told } = await opened();
  const line = await desk.show(PEER);
  await opensWith(line, files);
  assert.match(told.at(-1) ?? '', /^recovery\.key\.shown .*uid 0, pid 7/);
  const digits = Buffer.from(line).toString().split(' ')[1] ?? '';
  assert.not(told.join().includes(digits.slice(0, 13)));
});

test('the alarm sounds at start and for each that begins to watch, until acknowledged, and again after a rotation', async () => {
  const { desk, files, told, clock } = await opened();
  assert.equal(idsOf(told), ['recovery.key.not-backed-up']);
  await clock.advance(59_999);
  desk.alarm();
  assert.is(told.length, 1, 'once a minute at most');
  await clock.advance(1);
  desk.alarm();
  assert.is(told.length, 2);
  await clock.advance(60_000);
  await desk.acknowledge(PEER);
  desk.alarm();
  assert.equal(idsOf(told).slice(2), ['recovery.key.acknowledged']);
  assert.equal(idsOf((await opened(files)).told), [], 'also not after a restart');
  const { desk: next } = await opened(files);
  assert.is((await next.rotate(PEER)).state, 'not-backed-up');
});

test('mode NONE without a passphrase has a key, and no alarm: there is nothing to lose', async () => {
  const { desk, files, told } = await opened(new SimulatedFiles(), 'NONE');
  assert.equal([told, desk.report().state], [[], 'unprotected']);
  await opensWith(await desk.show(PEER), files);
});

test('after a rotation the old key opens nothing and the new one does', async () => {
  const { desk, files, told } = await opened();
  const before = await desk.show(PEER);
  await desk.rotate(PEER);
  await opensWith(await desk.show(PEER), files);
  await opensWith(before, files).then(
    () => assert.unreachable(),
    () => undefined,
  );
  assert.match(told.at(-2) ?? '', /^recovery\.key\.rotated \{"before":"\{.*","id":"\{.*","by":"uid 0/);
});

test('in escrow, it counts as backed up, and each rotation writes the file anew', async () => {
  const { desk, files } = await opened();
  assert.equal(await desk.escrow(RECIPIENT, PEER), {
    id: desk.report().id,
    state: 'backed-up',
    escrowFile: ESCROW_FILE,
  });
  const first = await escrowedLine(files);
  assert.equal(first, await desk.show(PEER));
  await desk.rotate(PEER);
  const second = await escrowedLine(files);
  assert.not.equal(second, first);
  await opensWith(second, files);
  assert.is(desk.report().state, 'backed-up');
});

test('an escrow file that could not be written is told, and made good at the next start', async () => {
  const { desk, files, told } = await opened();
  await desk.escrow(RECIPIENT, PEER);
  files.fault = failing('create', `${ESCROW_FILE}.new`);
  const report = await desk.rotate(PEER);
  files.fault = undefined;
  assert.equal([report.state, report.escrowFile], ['not-backed-up', '']);
  assert.is(idsOf(told).at(-1), 'recovery.escrow.failed');
  const again = await opened(files);
  assert.equal(idsOf(again.told), ['recovery.key.escrowed']);
  await opensWith(await escrowedLine(files), files);
});

test('a recipient that is none is refused, and nothing is written', async () => {
  const { desk, files } = await opened();
  await rejectsWith(desk.escrow('PEM', PEER), 'recipient-refused');
  assert.is(await readWhole(files, ESCROW_FILE, 2048), undefined);
});

test('of a refused archive nothing is shown or changed', async () => {
  const files = new SimulatedFiles();
  await opened(files, 'TPM');
  const archive = await StateArchive.open({ mode: 'NONE' }, { files, random, wrappings: [none] });
  const clock = new FakeClock();
  const bus = new EventBus({ capacity: 9 }, { clock, counters: new Counters() });
  const desk = new RecoveryDesk({ archive, files, clock, events: bus });
  await desk.open();
  assert.equal(desk.report(), { id: '', state: 'unprotected', escrowFile: '' });
  for (const work of [
    () => desk.show(PEER),
    () => desk.rotate(PEER),
    () => desk.acknowledge(PEER),
    () => desk.backup(),
  ]) {
    await rejectsWith(work(), 'state-version-newer');
  }
});

/** The fake clock does not wait for what its timers begin. */
async function written(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('the archive is written every hour and at the stop, and a disk that refuses is told', async () => {
  const { archive, files, clock } = await opened();
  const told: string[] = [];
  const backup = new ArchiveBackup({ archive, clock, events: { emit: (id) => told.push(id) } });
  const bytes = (): Promise<Buffer | undefined> => readWhole(files, 'bootbank/state.tgz', 1 << 20);
  const first = await bytes();
  await clock.advance(3_599_999);
  assert.equal(await bytes(), first);
  await clock.advance(1);
  await written();
  const second = await bytes();
  assert.not.equal(second, first);
  files.fault = failing('create');
  await clock.advance(3_600_000);
  await written();
  files.fault = undefined;
  assert.equal(told, ['state.backup.failed']);
  await backup.close();
  assert.not.equal(await bytes(), second);
});

test.run();
