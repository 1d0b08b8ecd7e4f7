import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { FileCounter } from '../../src/durable/file-counter.ts';
import { superfluousSyncs, type CrashScenario } from './crash-simulator.ts';
import { failing, SimulatedFiles } from './simulated-files.ts';

const PATH = 'counters/generation';
const SLOT_BYTES = 4096;

function counterOn(files: DurableFiles): FileCounter {
  return new FileCounter({ name: 'generation' }, { files });
}

async function damagedAt(files: DurableFiles, offset: number): Promise<void> {
  const file = await files.open(PATH);
  await file?.write(offset, Buffer.from('damage'));
}

test('counts from 0, by one, and goes on after each reopening', async () => {
  const files = new SimulatedFiles();
  assert.is(await counterOn(files).read(), 0);
  assert.equal(await files.list(''), [], 'reading leaves nothing behind');
  const counter = counterOn(files);
  assert.is(await counter.advance(), 1);
  assert.is(await counter.advance(), 2);
  assert.is(await counter.read(), 2);
  assert.is(await counterOn(files).read(), 2);
  assert.is(await counterOn(files).advance(), 3);
});

test('advances that come together give a value each', async () => {
  const counter = counterOn(new SimulatedFiles());
  assert.equal(await Promise.all([counter.advance(), counter.advance(), counter.advance()]), [1, 2, 3]);
});

test('an advance in place costs one sync and does not grow the file', async () => {
  const files = new SimulatedFiles();
  const counter = counterOn(files);
  await counter.advance();
  const before = files.syncs;
  await counter.advance();
  assert.is(files.syncs, before + 1);
  assert.is((await readWhole(files, PATH, 1 << 20))?.length, 2 * SLOT_BYTES);
});

test('one damaged record leaves the other; two are refused; a later version is refused', async () => {
  const files = new SimulatedFiles();
  const counter = counterOn(files);
  for (let value = 1; value <= 4; value++) await counter.advance();
  await damagedAt(files, 12); // 4 stands in the first slot
  assert.is(await counterOn(files).read(), 3);
  await damagedAt(files, SLOT_BYTES + 12);
  try {
    await counterOn(files).read();
    assert.unreachable();
  } catch (error) {
    assert.ok(isEntropyError(error, 'state-damaged'));
  }
  await (await files.open(PATH))?.write(8, Buffer.from([0, 0, 0, 2]));
  try {
    await counterOn(files).advance();
    assert.unreachable();
  } catch (error) {
    assert.ok(isEntropyError(error, 'state-version-newer'));
  }
});

test('after a failed advance the next value is still new', async () => {
  const files = new SimulatedFiles();
  const counter = counterOn(files);
  const given = [await counter.advance()];
  for (const operation of ['write', 'sync']) {
    files.fault = failing(operation);
    await counter.advance().then(
      () => assert.unreachable(),
      (error: unknown) => assert.ok(isEntropyError(error, 'state-unwritable')),
    );
    files.fault = undefined;
    given.push(await counter.advance());
  }
  assert.equal(given, [1, 2, 3]);
  assert.is(await counterOn(files).read(), 3);
});

test('crash: never goes back behind a value that was given or read; every sync is needed', async () => {
  const scenario: CrashScenario<number> = {
    run: async (files, mark) => {
      const counter = counterOn(files);
      for (let value = 1; value <= 4; value++) {
        await counter.advance();
        mark(`${value}`);
      }
    },
    check: async (files, stop) => {
      const value = await counterOn(files).read();
      const given = stop.completed.size;
      assert.ok(value === given || value === given + 1, `${value} after ${given} was given`);
      return value;
    },
    recheck: async (files, _, seen) => {
      assert.ok((await counterOn(files).read()) >= seen, 'the value that was read');
    },
  };
  assert.equal(await superfluousSyncs(scenario), []);
});

test.run();
