import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { PARAMETER_KEYS } from '../../src/contract/parameters.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import type { ConfigStoreOptions } from '../../src/state/config-store.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { openStore, StoreBench } from './store-bench.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'configuration-'));
test.after(() => rmSync(directory, { recursive: true }));

/** A file with this document. */
function documentOf(content: unknown): string {
  const file = path.join(directory, 'wanted.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

async function withBench(
  use: (bench: StoreBench, files: SimulatedFiles) => Promise<void>,
  layers?: ConfigStoreOptions,
  files = new SimulatedFiles(),
): Promise<void> {
  const bench = await StoreBench.open(files, layers);
  try {
    await use(bench, files);
  } finally {
    await bench.close();
  }
}

const DIFFERENCE = `\
Name                      From           To   Takes Effect
------------------------  -------------  ---  ------------
entropySources            default (0)    12   at the next start
memoryCacheSizeKibibytes  default (512)  612  at once
`;

test('apply stores what the file names as one change, prints the difference, and leaves the rest', async () => {
  await withBench(async (bench, files) => {
    await bench.control('system', 'entropyd', 'set', '--storage-cache-size=5096');
    const file = documentOf({
      formatVersion: 1,
      entropySources: 12,
      memoryCacheSizeKibibytes: 612,
      feedBytes: null,
    });
    const { exit, stdout, stderr } = await bench.control('mixer', 'config', 'apply', file);
    assert.equal([exit, stderr], [EXIT.ok, '']);
    assert.is(stdout, DIFFERENCE);
    assert.equal(bench.changes.at(-1), ['entropySources', 'memoryCacheSizeKibibytes']);
    assert.equal((await openStore(files)).stored, {
      storageCacheSizeKibibytes: 5096,
      entropySources: 12,
      memoryCacheSizeKibibytes: 612,
    });
  });
});

test('applied again it prints nothing, asks for nothing, writes nothing, and exits 0; as a dry run too', async () => {
  await withBench(async (bench, files) => {
    const file = documentOf({ feedBytes: 128 });
    await bench.control('mixer', 'config', 'apply', file);
    const operations = files.operations.length;
    for (const more of [[], ['--dry-run']]) {
      const { exit, stdout, stderr } = await bench.control('mixer', 'config', 'apply', file, ...more);
      assert.equal([exit, stdout, stderr], [EXIT.ok, '', '']);
    }
    assert.equal([bench.changes.length, files.operations.length], [1, operations]);
    const { stdout } = await bench.control('mixer', 'config', 'apply', file, '--formatter=json');
    assert.equal(JSON.parse(stdout), []);
  });
});

test('a dry run prints the same difference, changes nothing, and its exit code tells', async () => {
  await withBench(async (bench) => {
    const file = documentOf({ feedBytes: 128 });
    const dry = await bench.control('mixer', 'config', 'apply', file, '-n');
    assert.equal([dry.exit, bench.changes], [EXIT.differs, []]);
    const real = await bench.control('mixer', 'config', 'apply', file);
    assert.equal([real.exit, real.stdout], [EXIT.ok, dry.stdout]);
  });
});

test('what is exported makes another host the same, defaults included, and is exported there byte for byte', async () => {
  let document = '';
  await withBench(async (bench) => {
    await bench.control('system', 'entropyd', 'set', '--memory-cache-size=612', '-w', '30');
    await bench.control('system', 'settings', 'kernel', 'set', '-s', 'disableHwrng', '-v', 'TRUE');
    document = (await bench.control('mixer', 'config', 'export')).stdout;
    assert.is((await bench.control('mixer', 'config', 'export', '--formatter=json')).stdout, document);
  });
  assert.equal(Object.keys(JSON.parse(document) as object), ['formatVersion', ...PARAMETER_KEYS]);
  await withBench(async (other, files) => {
    await other.control('system', 'entropyd', 'set', '--storage-cache-size=5096');
    assert.is((await other.control('mixer', 'config', 'apply', documentOf(document))).exit, EXIT.ok);
    assert.is((await other.control('mixer', 'config', 'export')).stdout, document);
    assert.equal((await openStore(files)).stored, {
      memoryCacheSizeKibibytes: 612,
      memoryCacheLowWatermarkPercentage: 30,
      disableHwrng: true,
    });
  });
});

test('export tells what is stored, not what a flag of this host makes of it, and apply says what wins', async () => {
  await withBench(
    async (bench) => {
      const { stderr } = await bench.control('mixer', 'config', 'apply', documentOf({ entropySources: 12 }));
      assert.is(stderr, 'Note: entropySources is stored, but a flag keeps it at 4.\n');
      const { stdout } = await bench.control('mixer', 'config', 'export');
      assert.match(stdout, '"entropySources": 12');
    },
    { flags: { entropySources: 4 }, file: {} },
  );
});

for (const [content, told] of [
  ['{', /is not JSON/],
  ['[]', /must hold one object/],
  ['null', /must hold one object/],
  [{ formatVersion: 2 }, /formatVersion 2: this version reads 1/],
  [{ feedByte: 64 }, /no parameter "feedByte". Did you mean feedBytes\? \(parameter-unknown\)/],
  [{ feedBytes: 65 }, /feedBytes = 65 is refused: it takes 32 to 4096 bytes in steps of 32/],
  [{ feedBytes: '64' }, /feedBytes = "64" is refused: it takes 32 to 4096 bytes/],
  [{ feedIntervalSeconds: 30, entropySources: 16 }, /entropySources = 16 is refused: it takes 0 to 15/],
  [{ disableHwrng: 1 }, /disableHwrng = 1 is refused: it takes true or false/],
  [`{"feedBytes": 64}${' '.repeat(65_536)}`, /is over 65536 bytes/],
] as const) {
  test(`apply refuses ${JSON.stringify(content).slice(0, 50)}, and asks the daemon for nothing`, async () => {
    await withBench(async (bench) => {
      const { exit, stderr } = await bench.control('mixer', 'config', 'apply', documentOf(content));
      assert.match(stderr, told);
      assert.ok(
        [EXIT.usage, EXIT.input].some((each) => each === exit),
        String(exit),
      );
      assert.equal(bench.changes, []);
    });
  });
}

test('a file that is not there is named', async () => {
  await withBench(async (bench) => {
    const { exit, stderr } = await bench.control('mixer', 'config', 'apply', '/none/wanted.json');
    assert.is(exit, EXIT.input);
    assert.match(stderr, 'Cannot read /none/wanted.json (ENOENT)');
  });
});

test('a damaged store is neither exported as if it were empty nor changed, and stays as it is', async () => {
  const files: DurableFiles & SimulatedFiles = new SimulatedFiles();
  await (await openStore(files)).change({ feedBytes: 96 });
  await (await files.open('bootbank/state.tgz'))?.write(700, Buffer.from('damage'));
  await withBench(
    async (bench) => {
      const operations = files.operations.length;
      for (const line of [
        ['mixer', 'config', 'export'],
        ['mixer', 'config', 'apply', documentOf({ feedBytes: 64 }), '--dry-run'],
        ['mixer', 'config', 'apply', documentOf({ feedBytes: 64 })],
        ['system', 'entropyd', 'set', '--memory-cache-size=612'],
        ['system', 'entropyd', 'set', '--reset=all'],
      ]) {
        const { exit, stdout, stderr } = await bench.control(...line);
        assert.equal([exit, stdout], [EXIT.stateRefused, ''], line.join(' '));
        assert.match(stderr, '(state-damaged)');
      }
      assert.is(files.operations.length, operations);
    },
    undefined,
    files,
  );
});

test.run();
