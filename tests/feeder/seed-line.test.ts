import { randomFillSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ByteInput } from '../../src/feeder/byte-input.ts';
import { writeSeedLine } from '../../src/feeder/seed-line.ts';
import { parseKickstart } from '../../src/install/kickstart.ts';
import { SeedFingerprint } from '../../src/protocol/install-seed.ts';
import { rejectsWith } from '../rejects.ts';
import { temporaryDirectory } from './temporary.ts';

const BYTES = 512_001;
const SEED = randomFillSync(Buffer.alloc(BYTES));

/** Gives these bytes in reads of odd sizes, then the end. */
function inputOf(bytes: Buffer): ByteInput & { closed: number } {
  let at = 0;
  let reads = 0;
  return {
    description: 'a test',
    closed: 0,
    open: () => Promise.resolve(),
    read(target) {
      const count = bytes.copy(target, 0, at, at + 1 + ((reads++ * 7919) % 30_000));
      at += count;
      return Promise.resolve(count);
    },
    close() {
      this.closed++;
      return Promise.resolve();
    },
  };
}

const parts = (input: ByteInput, isStopping = () => false) => ({
  input,
  isStopping,
  progress: () => undefined,
});

test('the line holds what the input gave, for the installer to read; the file is its owner’s alone', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'seed.ks');
  const input = inputOf(SEED);
  const told: number[] = [];
  const fingerprint = await writeSeedLine(
    { file, bytes: BYTES, sources: 12 },
    { ...parts(input), progress: (bytes) => told.push(bytes) },
  );
  const { entropy } = parseKickstart(readFileSync(file));
  assert.is(entropy?.sources, 12);
  assert.equal(Buffer.from(entropy?.seed ?? []), SEED);
  assert.is(readFileSync(file, 'latin1'), `entropy --sources=12 --data=${SEED.toString('base64')}\n`);
  assert.is(statSync(file).mode & 0o777, 0o600);
  assert.is(fingerprint, new SeedFingerprint().update(SEED).text());
  assert.equal([told.at(-1), input.closed, readdirSync(directory)], [BYTES, 1, ['seed.ks']]);
});

test('a file that is there stays as it is, and nothing is read for it', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'seed.ks');
  writeFileSync(file, 'mine');
  await rejectsWith(writeSeedLine({ file, bytes: BYTES, sources: 12 }, parts(inputOf(SEED))), 'file-exists');
  assert.is(readFileSync(file, 'utf8'), 'mine');
});

test('one that comes while the input is read is not replaced either', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'seed.ks');
  const input = inputOf(SEED);
  const progress = (): void => writeFileSync(file, 'mine');
  await rejectsWith(
    writeSeedLine({ file, bytes: BYTES, sources: 12 }, { ...parts(input), progress }),
    'file-exists',
  );
  assert.equal([readFileSync(file, 'utf8'), readdirSync(directory)], ['mine', ['seed.ks']]);
});

test('an input that ends early, or an operator who stops it, leaves no file', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'seed.ks');
  const options = { file, bytes: BYTES, sources: 12 };
  const short = await rejectsWith(writeSeedLine(options, parts(inputOf(SEED.subarray(1)))), 'input-failed');
  assert.match(short.message, 'a test ended after 512000 bytes');
  await rejectsWith(
    writeSeedLine(
      options,
      parts(inputOf(SEED), () => true),
    ),
    'input-failed',
  );
  const elsewhere = { ...options, file: path.join(directory, 'none', 'seed.ks') };
  await rejectsWith(writeSeedLine(elsewhere, parts(inputOf(SEED))), 'file-unwritable');
  assert.equal(readdirSync(directory), []);
});

test.run();
