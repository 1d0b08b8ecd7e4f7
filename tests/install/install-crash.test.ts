import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { removeInstallSeed } from '../../src/cache/install-seed.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { install } from '../../src/install/install.ts';
import { readInstallRecord } from '../../src/state/install-record.ts';
import { LONG } from '../counts.ts';
import { takeAll } from '../cache/storage-fixture.ts';
import {
  exploreCrashes,
  findViolation,
  type CrashScenario,
  type CrashStop,
} from '../durable/crash-simulator.ts';
import { asked, inOrder, openArea, openParts, RATE_UNITS, seedOf, SMALL } from './install-fixture.ts';

/** The simulator stops the install at every operation: a later start finds the old state or the new one, and nothing in between. */

const SEED = seedOf(600);
const MASK = 12;

type State = 'old' | 'new';

/** What a start finds, seed included; the whole seed must be there when the archive speaks of it. */
async function found(files: DurableFiles): Promise<State> {
  const parts = await openParts(files);
  assert.is(parts.archive.refused, undefined);
  const record = readInstallRecord(parts);
  if (record === undefined) {
    assert.ok(parts.config.storesNothing, 'a mask without a record');
    return 'old';
  }
  assert.is(parts.config.values.entropySources, MASK, 'a record without its mask');
  assert.is(record.seed?.bytes, SEED.length);
  const area = await openArea(parts, SEED.length);
  assert.is(area.failure, undefined);
  assert.equal(area.found.setAside, []);
  assert.is(area.bytes, SEED.length, 'a record without its seed');
  await area.close();
  await parts.close();
  return 'new';
}

function assertKept(stop: CrashStop, state: State): void {
  if (stop.completed.has('installed')) assert.is(state, 'new', 'what was installed is gone');
}

const INSTALLING: CrashScenario<State> = {
  run: async (files, mark) => {
    await install(asked(MASK, SEED), { rateUnits: RATE_UNITS, geometry: SMALL }, await openParts(files));
    mark('installed');
  },
  check: async (files, stop) => {
    const state = await found(files);
    assertKept(stop, state);
    return state;
  },
  recheck: async (files, _, state) => {
    const later = await found(files);
    assert.ok(state === 'old' || later === 'new', 'what a start found is gone');
  },
};

/** As the daemon does: what no record names is cleared away, and the state can be installed. */
const INSTALLED_AGAIN: CrashScenario<State> = {
  ...INSTALLING,
  check: async (files, stop) => {
    const state = await found(files);
    assertKept(stop, state);
    if (state === 'new') return state;
    await removeInstallSeed(files);
    const parts = await openParts(files);
    await install(asked(MASK, SEED), { rateUnits: RATE_UNITS, geometry: SMALL }, parts);
    const area = await openArea(parts, SEED.length);
    assert.equal(inOrder(await takeAll(area), SEED), SEED);
    return state;
  },
  recheck: () => Promise.resolve(),
};

test('a crash within an install leaves the old state or the new one, seed and mask together', async () => {
  const { operations, disks } = await exploreCrashes(INSTALLING);
  assert.ok(operations > 30 && disks > 100, `${operations} operations, ${disks} disks`);
});

test('what a crash left over hinders no second install', async () => {
  await exploreCrashes(INSTALLED_AGAIN);
});

test('without the sync of the seed, or of the archive, a crash breaks that: the simulator would see it', async () => {
  const violations: string[] = [];
  // Of the seed's segments, and of the directory of the archive; all of them in the long form.
  const syncs = LONG ? [...Array(17).keys()] : [9, 16];
  for (const ignoreSync of syncs) {
    const violation = await findViolation(INSTALLING, { ignoreSync });
    if (violation !== undefined) violations.push(violation.message);
  }
  assert.ok(
    violations.some((message) => message.includes('a record without its seed')),
    violations.join('\n'),
  );
  assert.ok(
    violations.some((message) => message.includes('what was installed is gone')),
    violations.join('\n'),
  );
});

/** The seed is spent segment by segment: what was given out is never there again, whatever the crash. */
const SPENDING: CrashScenario = {
  setup: async (files) => {
    const parts = await openParts(files);
    await install(asked(MASK, SEED), { rateUnits: RATE_UNITS, geometry: SMALL }, parts);
  },
  run: async (files, mark) => {
    const area = await openArea(await openParts(files), SEED.length);
    for (;;) {
      const portions = await area.takeSegment();
      if (portions === undefined) return;
      for (const { bytes } of portions) mark(`given ${SEED.indexOf(bytes)}`);
    }
  },
  check: async (files, stop) => {
    const area = await openArea(await openParts(files), SEED.length);
    for (const { bytes } of await takeAll(area))
      assert.not.ok(stop.completed.has(`given ${SEED.indexOf(bytes)}`), 'a byte of the seed comes twice');
  },
};

test('no byte of the seed comes twice, at every stop', async () => {
  await exploreCrashes(SPENDING);
});

test.run();
