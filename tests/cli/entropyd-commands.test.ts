import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import { closeBench, openBench } from '../api/control-bench.ts';
import { overriddenNote } from '../../src/cli/configuration-actions.ts';
import { runCommand, type Outcome } from './cli-bench.ts';

/** Runs the lines one after the other; answers their outcomes, and the changes that the daemon was asked for. */
async function session(...lines: string[]): Promise<{ outcomes: Outcome[]; changes: unknown[] }> {
  const bench = await openBench();
  const outcomes: Outcome[] = [];
  for (const line of lines)
    outcomes.push(await runCommand(['--runtime-dir', bench.directory, ...line.split(' ')]));
  await closeBench(bench);
  const changes = bench.service.calls.filter(({ name }) => name === 'changeConfiguration');
  return { outcomes, changes: changes.map(({ given }) => given[0]) };
}

test('get prints the four values in the order of esxcli, configured or by default', async () => {
  const { outcomes } = await session('system entropyd get', 'system entropyd get --default-values');
  const [configured, initial] = outcomes.map(({ stdout }) => stdout);
  assert.is(
    configured,
    'External Entropy Lost Timeout Seconds: 70\n' +
      'Memory Cache Low Watermark Percentage: 20\n' +
      'Memory Cache Size Kibibytes: 612\n' +
      'Storage Cache Size Kibibytes: 4096\n',
  );
  assert.match(initial ?? '', /Seconds: 60\n.*Size Kibibytes: 512\n/s);
});

test('set sends values and resets as one change', async () => {
  const { changes } = await session(
    'system entropyd set --memory-cache-size=64 --external-entropy-lost-timeout=1',
    'system entropyd set --memory-cache-low-watermark=99 --storage-cache-size=1048576 --reset=memory-cache-size',
    'system entropyd set --reset=all',
  );
  assert.equal(changes, [
    { memoryCacheSizeKibibytes: 64, externalEntropyLostTimeoutSeconds: 1 },
    {
      memoryCacheSizeKibibytes: null,
      memoryCacheLowWatermarkPercentage: 99,
      storageCacheSizeKibibytes: 1_048_576,
    },
    {
      memoryCacheSizeKibibytes: null,
      memoryCacheLowWatermarkPercentage: null,
      storageCacheSizeKibibytes: null,
      externalEntropyLostTimeoutSeconds: null,
    },
  ]);
});

test('nothing to set, a value that is reset as well, or one out of range: the daemon is not asked', async () => {
  const { outcomes, changes } = await session(
    'system entropyd set',
    'system entropyd set --memory-cache-size=64 --reset=memory-cache-size',
    'system entropyd set --memory-cache-size=64 --reset=all',
    'system entropyd set --memory-cache-size=63',
    'system entropyd set --storage-cache-size=1048577',
  );
  assert.equal(
    outcomes.map(({ exit }) => exit),
    Array.from({ length: 5 }, () => EXIT.usage),
  );
  assert.equal(changes, []);
});

test('what a flag or file overrides is named; what is in force, or was not asked for, is not', () => {
  const parameter = (name: string, origin: 'flag' | 'file' | 'store', configured: number) =>
    ({ name, origin, configured }) as Parameters<typeof overriddenNote>[0][number];
  const parameters = [
    parameter('storageCacheSizeKibibytes', 'flag', 256),
    parameter('memoryCacheSizeKibibytes', 'store', 300),
    parameter('feedBytes', 'file', 64),
  ];
  assert.is(
    overriddenNote(parameters, ['storageCacheSizeKibibytes', 'memoryCacheSizeKibibytes']),
    'storageCacheSizeKibibytes is stored, but a flag keeps it at 256.',
  );
  assert.is(overriddenNote(parameters, ['memoryCacheSizeKibibytes']), '');
});

test.run();
