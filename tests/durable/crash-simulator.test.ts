import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readWhole, type DurableFiles } from '../../src/durable/durable-files.ts';
import {
  CrashViolation,
  exploreCrashes,
  findViolation,
  superfluousSyncs,
  type CrashScenario,
} from './crash-simulator.ts';

const OLD = Buffer.alloc(1500, 'o');
const NEW = Buffer.alloc(1500, 'n');

async function put(files: DurableFiles, path: string, bytes: Uint8Array): Promise<void> {
  const file = await files.create(path);
  await file.write(0, bytes);
  await file.sync();
  await files.syncDirectory('');
}

async function textOf(files: DurableFiles, path: string): Promise<string> {
  const bytes = await readWhole(files, path, 1 << 20);
  return bytes === undefined ? 'missing' : bytes.toString();
}

/** The promise of a replacement: old or new, and new once it is done. */
function replacement(run: (files: DurableFiles) => Promise<void>): CrashScenario {
  return {
    setup: (files) => put(files, 'a', OLD),
    run: async (files, mark) => {
      await run(files);
      mark('done');
    },
    check: async (files, stop) => {
      const found = await textOf(files, 'a');
      const allowed = stop.completed.has('done') ? [NEW.toString()] : [OLD.toString(), NEW.toString()];
      assert.ok(allowed.includes(found), `found ${found.slice(0, 3)}… of ${found.length} bytes`);
    },
  };
}

async function sound(files: DurableFiles): Promise<void> {
  const file = await files.create('b');
  await file.write(0, NEW);
  await file.sync();
  await files.rename('b', 'a');
  await files.syncDirectory('');
}

test('a sound replacement keeps its promise at every stop', async () => {
  const exploration = await exploreCrashes(replacement(sound));
  assert.is(exploration.operations, 6);
  assert.is(exploration.syncs, 2);
  assert.is(exploration.sampledStops, 0);
  assert.ok(exploration.disks > 10);
});

test('overwriting in place is torn', async () => {
  const violation = await findViolation(
    replacement(async (files) => {
      const file = await files.open('a');
      await file?.write(0, NEW);
      await file?.sync();
    }),
  );
  assert.match(
    violation?.message ?? '',
    /^stopped after operation 1 \(write a 0\+1500\), completed: nothing; kept 1 .*cut to/,
  );
});

test('truncating first loses the old bytes', async () => {
  const violation = await findViolation(
    replacement(async (files) => {
      const file = await files.open('a');
      await file?.truncate(0);
      await file?.write(0, NEW);
      await file?.sync();
    }),
  );
  assert.ok(violation instanceof CrashViolation);
});

test('removing before renaming leaves a moment with nothing', async () => {
  const violation = await findViolation(
    replacement(async (files) => {
      const file = await files.create('b');
      await file.write(0, NEW);
      await file.sync();
      await files.remove('a');
      await files.rename('b', 'a');
      await files.syncDirectory('');
    }),
  );
  assert.match(violation?.message ?? '', /found mis/);
});

test('a name may survive before its content: without the file sync the new bytes are missing', async () => {
  const violation = await findViolation(replacement(sound), { ignoreSync: 0 });
  assert.ok(violation instanceof CrashViolation);
});

test('without the directory sync the old bytes come back after the promise', async () => {
  const violation = await findViolation(replacement(sound), { ignoreSync: 1 });
  assert.match(violation?.message ?? '', /completed: done; kept .*found ooo/);
});

test('a file in a directory that was not synced itself is lost', async () => {
  const violation = await findViolation({
    run: async (files, mark) => {
      await files.makeDirectory('d');
      const file = await files.create('d/a');
      await file.write(0, NEW);
      await file.sync();
      await files.syncDirectory('d');
      mark('done');
    },
    check: async (files, stop) => {
      if (stop.completed.has('done')) assert.is(await textOf(files, 'd/a'), NEW.toString());
    },
  });
  assert.ok(violation instanceof CrashViolation);
});

test('size may survive without content, as zeros; a later write without an earlier one', async () => {
  const seen = new Set<string>();
  await exploreCrashes({
    setup: (files) => put(files, 'a', Buffer.from('12')),
    run: async (files) => {
      const file = await files.open('a');
      await file?.write(2, Buffer.from('34'));
      await file?.write(4, Buffer.from('56'));
    },
    check: async (files) => void seen.add((await textOf(files, 'a')).replaceAll('\0', '_')),
  });
  for (const text of ['12', '12__', '12__56', '123', '1234', '1234__', '12345', '123456', '123_56']) {
    assert.ok(seen.has(text), `${text} can survive`);
  }
});

test('an end of a long write may survive without its beginning', async () => {
  const seen = new Set<string>();
  await exploreCrashes({
    setup: (files) => put(files, 'a', Buffer.alloc(1024, 'o')),
    run: async (files) => {
      const file = await files.open('a');
      await file?.write(0, Buffer.alloc(1024, 'n'));
    },
    check: async (files) => {
      const text = await textOf(files, 'a');
      seen.add(`${text[0] ?? ''}${text[511] ?? ''}${text[512] ?? ''}${text[1023] ?? ''}`);
    },
  });
  assert.equal([...seen].sort(), ['nnnn', 'nnno', 'nnoo', 'nooo', 'oonn', 'oooo']);
});

test('counters are durable when advanced, and never in between', async () => {
  await exploreCrashes({
    run: async (files, mark) => {
      await files.counter('c').advance();
      mark('one');
      await files.counter('c').advance();
      mark('two');
    },
    check: async (files, stop) => assert.is(await files.counter('c').read(), stop.completed.size),
  });
});

test('a reader who acts on the unsynced work of a dead process is found out', async () => {
  const scenario = (resync: boolean): CrashScenario<string> => ({
    setup: (files) => put(files, 'a', OLD),
    run: sound,
    check: async (files) => {
      const found = await textOf(files, 'a');
      if (resync) await files.syncDirectory('');
      return found;
    },
    recheck: async (files, _, seen) =>
      assert.ok((await textOf(files, 'a')) === seen, 'what was read is gone'),
  });
  assert.match(
    (await findViolation(scenario(false)))?.message ?? '',
    /the process died, .* what was read is gone/,
  );
  assert.is(await findViolation(scenario(true)), undefined);
  assert.equal(await superfluousSyncs(scenario(true)), ['run: sync 1'], 'nobody was promised the new name');
});

test('a sync that protects nothing is named', async () => {
  const scenario = replacement(async (files) => {
    await sound(files);
    await files.syncDirectory('');
  });
  assert.equal(
    await superfluousSyncs(scenario),
    ['run: sync 1', 'run: sync 2'],
    'either of the two would do',
  );
});

test('more than 12 unsynced changes are sampled, and the seed is told', async () => {
  const scenario: CrashScenario = {
    run: async (files) => {
      for (let number = 0; number < 14; number++) await files.create(`f${number}`);
    },
    check: async (files, stop) => {
      const names = await files.list('');
      assert.ok(stop.operations < 14 || names.length === 14 || !names.includes('f13'), 'some are missing');
    },
  };
  const violation = await findViolation(scenario);
  assert.match(violation?.message ?? '', /CRASH_SEED=[0-9]+: some are missing/);
});

test.run();
