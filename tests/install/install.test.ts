import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { removeInstallSeed } from '../../src/cache/install-seed.ts';
import { install, planInstall } from '../../src/install/install.ts';
import { SeedFingerprint } from '../../src/protocol/install-seed.ts';
import { readInstallRecord } from '../../src/state/install-record.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { takeAll } from '../cache/storage-fixture.ts';
import { rejectsWith } from '../rejects.ts';
import { asked, inOrder, openArea, openParts, RATE_UNITS, seedOf, SMALL } from './install-fixture.ts';

const fingerprintOf = (seed: Uint8Array): string => new SeedFingerprint().update(seed).text();

const OPTIONS = { rateUnits: RATE_UNITS, geometry: SMALL };

test('mask, record and seed are there after a restart; the seed at its rate, each byte once', async () => {
  const files = new SimulatedFiles();
  const seed = seedOf(1500);
  const first = await openParts(files);
  await install(asked(8, seed), OPTIONS, first);
  await first.close();

  const second = await openParts(files);
  assert.is(second.config.values.entropySources, 8);
  const record = readInstallRecord(second);
  assert.equal(record?.seed, {
    bytes: 1500,
    rateUnits: 1024,
    fingerprint: fingerprintOf(seed),
    usedUp: false,
  });
  const area = await openArea(second, 1500);
  assert.equal([area.bytes, area.creditedUnits], [1500, 1500 * 1024]);
  assert.equal(inOrder(await takeAll(area), seed), seed);
  await area.close();
  assert.is((await openArea(second, 1500)).bytes, 0);
});

test('what nothing names is taken away, and the archive forgets nothing for it', async () => {
  const files = new SimulatedFiles();
  const parts = await openParts(files);
  await install(asked(8, seedOf(600)), OPTIONS, parts);
  assert.equal(await files.list('cache/install-seed'), ['keys', 'segments']);
  await removeInstallSeed(files);
  assert.equal(await files.list('cache/install-seed'), []);
  await removeInstallSeed(files);
});

test('no entropy line leaves the defaults, and the state new', async () => {
  const parts = await openParts(new SimulatedFiles());
  const nothing = { entropy: undefined, dryRun: false, notRun: [] };
  assert.equal((await install(nothing, OPTIONS, parts)).record.sources, null);
  assert.ok(parts.config.storesNothing);
  await install(asked(4), OPTIONS, parts);
});

test('only a new state is installed: no feeder, seed or changed parameter', async () => {
  const refusal = async (
    prepare: (parts: Awaited<ReturnType<typeof openParts>>) => Promise<unknown>,
  ): Promise<string> => {
    const parts = await openParts(new SimulatedFiles());
    await prepare(parts);
    const error = await rejectsWith(install(asked(8, seedOf(600)), OPTIONS, parts), 'install-refused');
    return error.message;
  };
  const terms = {
    class: 'drbg',
    rateUnits: 32,
    certificate: '',
    maximumBytesPerSecond: 1000,
    weight: 1,
  } as const;
  assert.match(
    await refusal(async ({ enrolment }) => {
      await enrolment.enroll('gone', terms);
      await enrolment.revoke('gone');
    }),
    'a feeder was enrolled',
  );
  assert.match(await refusal(({ config }) => config.change({ feedBytes: 128 })), 'a parameter was changed');
  assert.match(
    await refusal((parts) => install(asked(undefined, seedOf(700)), OPTIONS, parts)),
    /the seed [0-9a-f-]{19} was/,
  );
  assert.match(await refusal((parts) => install(asked(4), OPTIONS, parts)), 'a parameter was changed');
});

test('a changed parameter that was set back counts as new; so does a key that nobody uses', async () => {
  const parts = await openParts(new SimulatedFiles());
  await parts.config.change({ feedBytes: 128 });
  await parts.config.change({ feedBytes: null });
  await parts.enrolment.identity();
  await install(asked(8, seedOf(600)), OPTIONS, parts);
});

test('a seed that fails the tests at the door installs nothing, and its line is named', async () => {
  const files = new SimulatedFiles();
  let tested = 0;
  const parts = await openParts(files, (bytes) =>
    (tested += bytes.length) > 70_000 ? 'intermittent' : 'healthy',
  );
  const error = await rejectsWith(install(asked(8, seedOf(150_000)), OPTIONS, parts), 'kickstart-invalid');
  assert.match(
    error.message,
    /^line 7: `entropy` has --data that fails the health tests, among its bytes 65536 to 131071/,
  );
  assert.ok(parts.config.storesNothing);
  assert.equal(files.operations, []);
});

test('what may surprise is said: bit 8 without a seed, a seed without bit 8, the mask 8 alone', async () => {
  const parts = await openParts(new SimulatedFiles());
  const warnings = (sources: number | undefined, seed?: Buffer): string =>
    planInstall(asked(sources, seed), OPTIONS, parts).warnings.join('; ');
  assert.match(warnings(12), 'the mask 12 has bit 8 and there is no --data: the gate waits for a feeder');
  assert.match(
    warnings(4, seedOf(600)),
    'the mask 4 lacks bit 8: the seed is kept, and used once bit 8 is in',
  );
  assert.match(warnings(undefined, seedOf(600)), 'the mask 0 lacks bit 8');
  assert.match(warnings(8, seedOf(600)), 'under the mask 8 nothing but external entropy counts');
  assert.is(warnings(12, seedOf(600)), '');
  assert.is(warnings(4), '');
});

test('equal seeds have equal fingerprints, others do not, and it is no plain digest of the seed', () => {
  const seed = seedOf(1000);
  const [a, b] = [fingerprintOf(seed), fingerprintOf(Uint8Array.from(seed))];
  assert.match(a, /^[0-9a-f]{4}(-[0-9a-f]{4}){3}$/);
  assert.is(a, b);
  assert.is.not(a, fingerprintOf(seed.subarray(1)));
  assert.is.not(a, fingerprintOf(seedOf(1000, 'another')));
});

test('when the disk refuses at any step, nothing is installed, and it can be tried again', async () => {
  const seed = seedOf(600);
  for (const fault of [
    failing('create', 'cache/install-seed/segments.new'),
    failing('sync', 'cache/install-seed/segments'),
    failing('rename', 'bootbank/state.tgz'),
    failing('sync', 'bootbank'),
  ]) {
    const files = new SimulatedFiles();
    const parts = await openParts(files);
    files.fault = fault;
    await rejectsWith(install(asked(8, seed), OPTIONS, parts), 'state-unwritable');
    assert.ok(parts.config.storesNothing);
    assert.is(readInstallRecord(parts), undefined);
    files.fault = undefined;
    await install(asked(8, seed), OPTIONS, parts);
    assert.equal(inOrder(await takeAll(await openArea(parts, 600)), seed), seed);
  }
});

test('the caller can wipe the seed: nothing else of the install keeps it', async () => {
  const parts = await openParts(new SimulatedFiles());
  const kickstart = asked(8, seedOf(600));
  await install(kickstart, OPTIONS, parts);
  kickstart.entropy?.seed?.fill(0);
  assert.ok(isAllZero(kickstart.entropy?.seed ?? Buffer.of(1)));
  assert.equal(inOrder(await takeAll(await openArea(parts, 600)), seedOf(600)), seedOf(600));
});

test.run();
