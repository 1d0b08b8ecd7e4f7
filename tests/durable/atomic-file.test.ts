import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { removeLeftover, replaceFile } from '../../src/durable/atomic-file.ts';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import { superfluousSyncs, type CrashScenario } from './crash-simulator.ts';
import { failing, SimulatedFiles } from './simulated-files.ts';

const OLDEST = 'a'.repeat(700);
const OLD = 'b'.repeat(1200);
const NEW = 'c'.repeat(900);

async function textOf(files: DurableFiles, path: string): Promise<string | undefined> {
  return (await readWhole(files, path, 1 << 20))?.toString();
}

test('makes a file, replaces it, and leaves nothing beside it', async () => {
  const files = new SimulatedFiles();
  await replaceFile(files, 'a', Buffer.from(OLD));
  assert.is(await textOf(files, 'a'), OLD);
  await replaceFile(files, 'a', Buffer.from(NEW));
  assert.is(await textOf(files, 'a'), NEW);
  assert.equal(await files.list(''), ['a']);
});

test('an empty file is a file', async () => {
  const files = new SimulatedFiles();
  await replaceFile(files, 'a', Buffer.alloc(0));
  assert.is(await textOf(files, 'a'), '');
});

test('keeps the previous bytes, from the second version on', async () => {
  const files = new SimulatedFiles();
  await replaceFile(files, 'a', Buffer.from(OLDEST), { keepPreviousAs: 'p' });
  assert.is(await textOf(files, 'p'), undefined);
  await replaceFile(files, 'a', Buffer.from(OLD), { keepPreviousAs: 'p' });
  assert.is(await textOf(files, 'p'), OLDEST);
  await replaceFile(files, 'a', Buffer.from(NEW), { keepPreviousAs: 'p' });
  assert.is(await textOf(files, 'p'), OLD);
});

test('a previous file larger than one copy step is kept whole', async () => {
  const files = new SimulatedFiles();
  const large = Buffer.alloc(200_000, 'large');
  await replaceFile(files, 'a', large);
  await replaceFile(files, 'a', Buffer.from(NEW), { keepPreviousAs: 'p' });
  assert.ok((await readWhole(files, 'p', 1 << 20))?.equals(large));
});

test('the leftover of a dead process is removed, and does not stand in the way', async () => {
  const files = new SimulatedFiles();
  await (await files.create('a.new')).write(0, Buffer.from('half'));
  await replaceFile(files, 'a', Buffer.from(NEW));
  assert.equal(await files.list(''), ['a']);
  await files.create('a.new');
  await removeLeftover(files, 'a');
  assert.equal(await files.list(''), ['a']);
});

for (const operation of ['create', 'write', 'sync', 'rename']) {
  test(`when ${operation} fails the error is told, the old bytes stay and no temporary file is left`, async () => {
    const files = new SimulatedFiles();
    await replaceFile(files, 'a', Buffer.from(OLD));
    files.fault = failing(operation);
    try {
      await replaceFile(files, 'a', Buffer.from(NEW), { keepPreviousAs: 'p' });
      assert.unreachable();
    } catch (error) {
      assert.ok(isEntropyError(error, 'state-unwritable'));
    }
    files.fault = undefined;
    assert.is(await textOf(files, 'a'), OLD);
    assert.equal(await files.list(''), ['a']);
  });
}

const replacing: CrashScenario<string | undefined> = {
  setup: (files) => replaceFile(files, 'a', Buffer.from(OLD)),
  run: async (files, mark) => {
    await replaceFile(files, 'a', Buffer.from(NEW));
    mark('replaced');
  },
  check: async (files, stop) => {
    const found = await textOf(files, 'a');
    assert.ok(
      found === NEW || (found === OLD && !stop.completed.has('replaced')),
      `found ${found?.slice(0, 9) ?? ''}`,
    );
    return found;
  },
};

test('crash: old or new, whole, and new once it resolved; every sync is needed', async () => {
  assert.equal(await superfluousSyncs(replacing), []);
});

test('crash: the first version is there whole or not at all; every sync is needed', async () => {
  const { run } = replacing;
  const check: CrashScenario['check'] = async (files, stop) => {
    const found = await textOf(files, 'a');
    assert.ok(found === NEW || (found === undefined && !stop.completed.has('replaced')));
  };
  assert.equal(await superfluousSyncs({ run, check }), []);
});

test('crash: with the previous kept, both names hold a whole version at every moment; every sync is needed', async () => {
  const scenario: CrashScenario = {
    setup: async (files) => {
      await replaceFile(files, 'a', Buffer.from(OLDEST));
      await replaceFile(files, 'a', Buffer.from(OLD), { keepPreviousAs: 'p' });
    },
    run: async (files, mark) => {
      await replaceFile(files, 'a', Buffer.from(NEW), { keepPreviousAs: 'p' });
      mark('replaced');
    },
    check: async (files, stop) => {
      const found = `${(await textOf(files, 'a'))?.[0] ?? '-'}${(await textOf(files, 'p'))?.[0] ?? '-'}`;
      assert.ok(
        (await textOf(files, 'a'))?.length === { a: 700, b: 1200, c: 900 }[found[0]!],
        'current is whole',
      );
      assert.ok(
        (await textOf(files, 'p'))?.length === { a: 700, b: 1200, c: 900 }[found[1]!],
        'previous is whole',
      );
      const allowed = stop.completed.has('replaced') ? ['cb'] : ['ba', 'bb', 'cb', 'ca'];
      assert.ok(allowed.includes(found), `current and previous are ${found}`);
    },
  };
  assert.equal(await superfluousSyncs(scenario), []);
});

test.run();
