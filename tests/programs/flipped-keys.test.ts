import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/base/errors.ts';
import type { InstallSeedReport } from '../../src/contract/install-seed.ts';
import { count } from '../counts.ts';
import { seededRandom } from '../durable/crash-simulator.ts';
import { DaemonProcess, ROOT } from './daemon-process.ts';

/** Flipped bits of a cache's key pages with the real daemon, which counts an install seed that its mask leaves alone. */

const SEED_BYTES = 512_000;
const HEADER_BYTES = 52;
/** Both places of the one page that the seed's segments need, and what means something in them. */
const PLACES = [4096, 8192] as const;
const PLACE_CONTENT_BYTES = 8 + 32 + 64 * 40 + 16;

function run(program: string, ...args: readonly string[]): void {
  const words = [path.join(ROOT, 'bin', program), ...args];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 20_000 });
  assert.is(status, EXIT.ok, stderr);
}

function installSeed(directory: string): void {
  const [recorded, file] = [path.join(directory, 'recorded'), path.join(directory, 'seed.ks')];
  writeFileSync(recorded, randomFillSync(Buffer.alloc(SEED_BYTES + 10)));
  run('entropy-feed', 'file', recorded, '--kickstart', file, '--bytes', String(SEED_BYTES), '--sources', '1');
  run('entropyd', 'install', '--kickstart', file, '--state-dir', path.join(directory, 'state'));
}

test('flipped bits of key pages: the daemon is up, and the seed is whole, or lost and that is told', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'flipped-'));
  const [area, kept] = [path.join(directory, 'state', 'cache', 'install-seed'), path.join(directory, 'kept')];
  const next = seededRandom(23);
  const outcomes = new Set<string>();
  try {
    installSeed(directory);
    cpSync(area, kept, { recursive: true });
    const sound = readFileSync(path.join(area, 'keys'));
    for (let flip = 0; flip < count(2, 50); flip++) {
      const keys = Buffer.from(sound);
      const flipOne = (offset: number, lengthBytes: number): void => {
        const at = offset + Math.floor(next() * lengthBytes);
        keys.writeUInt8(keys.readUInt8(at) ^ (1 << Math.floor(next() * 8)), at);
      };
      const kind = (['one place', 'both places', 'header'] as const)[flip % 3]!;
      if (kind === 'header') flipOne(0, HEADER_BYTES);
      else
        for (const place of PLACES.slice(0, kind === 'one place' ? 1 : 2))
          flipOne(place, PLACE_CONTENT_BYTES);
      rmSync(area, { recursive: true });
      cpSync(kept, area, { recursive: true });
      writeFileSync(path.join(area, 'keys'), keys);

      const daemon = new DaemonProcess({ directory, arguments: [] });
      await daemon.ready();
      const { leftBytes } = (await daemon.request('GET', '/v1/install-seed')).body as InstallSeedReport;
      const told = daemon.output.includes('cache.damaged') || daemon.output.includes('state-version-newer');
      await daemon.stop();
      outcomes.add(`${kind}: ${leftBytes === SEED_BYTES ? 'whole' : 'lost'}`);
      assert.equal([leftBytes === SEED_BYTES, told], [kind === 'one place', kind !== 'one place'], kind);
      assert.ok(leftBytes === SEED_BYTES || leftBytes === 0 || leftBytes === null);
    }
    assert.ok(outcomes.has('one place: whole') && outcomes.has('both places: lost'), [...outcomes].join());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
