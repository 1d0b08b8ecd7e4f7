import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { exploreCrashes, findViolation, type CrashScenario } from '../durable/crash-simulator.ts';
import { openStore, StoreBench } from './store-bench.ts';

/** The power fails at any point of a command: the old store or the new one is there, and the new one once the command ended. */

const directory = mkdtempSync(path.join(tmpdir(), 'crash-'));
test.after(() => rmSync(directory, { recursive: true }));
const wanted = path.join(directory, 'wanted.json');
writeFileSync(wanted, JSON.stringify({ memoryCacheSizeKibibytes: 612, feedBytes: null, entropySources: 12 }));

const OLD = { memoryCacheSizeKibibytes: 128, feedBytes: 96 };

function scenarioOf(argv: readonly string[], next: object): CrashScenario<string> {
  return {
    setup: async (files) => {
      await (await openStore(files)).change(OLD);
    },
    run: async (files, mark) => {
      const bench = await StoreBench.open(files);
      const { exit, stderr } = await bench.control(...argv);
      assert.equal([exit, stderr], [0, '']);
      mark('ended');
      await bench.close();
    },
    check: async (files, stop) => {
      const store = await openStore(files);
      assert.is(store.refused, undefined);
      const found = sorted(store.stored);
      const allowed = [...(stop.completed.has('ended') ? [] : [sorted(OLD)]), sorted(next)];
      assert.ok(allowed.includes(found), found);
      return found;
    },
    recheck: async (files, _, seen) => {
      assert.is(sorted((await openStore(files)).stored), seen);
    },
  };
}

function sorted(values: object): string {
  return JSON.stringify(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
}

for (const [argv, next] of [
  [
    ['system', 'entropyd', 'set', '--memory-cache-size=612', '--storage-cache-size=5096'],
    { ...OLD, memoryCacheSizeKibibytes: 612, storageCacheSizeKibibytes: 5096 },
  ],
  [['system', 'entropyd', 'set', '--reset=all'], { feedBytes: 96 }],
  [['system', 'settings', 'kernel', 'set', '-s', 'entropySources', '-v', '4'], { ...OLD, entropySources: 4 }],
  [['mixer', 'config', 'apply', wanted], { memoryCacheSizeKibibytes: 612, entropySources: 12 }],
] as const) {
  test(`crash: ${argv.slice(0, 4).join(' ')}`, async () => {
    const scenario = scenarioOf(argv, next);
    const { operations, syncs } = await exploreCrashes(scenario);
    assert.ok(operations > 0 && syncs > 0);
    // The last sync is what makes the command's end a promise: without it the test has to see that.
    assert.is.not(await findViolation(scenario, { ignoreSync: syncs - 1 }), undefined);
  });
}

test.run();
