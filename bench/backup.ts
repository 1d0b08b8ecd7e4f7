/** How long a backup takes (the archive sealed anew and put in place durably), and of what that time is made, at sizes that occur. */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { replaceFile } from '../src/durable/atomic-file.ts';
import { NodeFiles } from '../src/durable/node-files.ts';
import { MAXIMUM_ACCOUNTS } from '../src/state/accounts.ts';
import { sealDocuments } from '../src/state/bootbank.ts';
import { MAXIMUM_FEEDERS } from '../src/state/feeder-record.ts';
import { encodeRegister } from '../src/state/feeder-register.ts';
import { NoneWrapping, RootKey } from '../src/state/root-key.ts';
import { StateArchive } from '../src/state/state-archive.ts';
import { MAXIMUM_TOKENS } from '../src/state/tokens.ts';
import { median, quantile } from './quantiles.ts';

const ROUNDS = 41;
const random = (target: Uint8Array): void => void randomFillSync(target);

/** As JSON, generously. */
const TOKEN_BYTES = 300;
const ACCOUNT_BYTES = 600;
const KEY_ENTRY_BYTES = 69;
const MIB = 1024 * 1024;

type Documents = ReadonlyMap<string, Buffer>;

/** As many feeders, tokens and accounts as there can be, the feeders' certificates of 200 characters. */
function fullest(): Documents {
  const feeders = Array.from({ length: MAXIMUM_FEEDERS }, (_, door) => ({
    id: 1_000_000 + door,
    door,
    name: `feeder-with-a-long-name-${door}`.padEnd(32, 'x').slice(0, 32),
    class: 'full-entropy' as const,
    rateUnits: 8192,
    certificate: 'E'.repeat(200),
    maximumBytesPerSecond: 1_000_000,
    weight: 100,
    state: 'enabled' as const,
    createdMs: 1_800_000_000_000,
  }));
  return new Map([
    ['feeders.json', encodeRegister({ nextId: 2_000_000, feeders })],
    ['feeders.keys', filler(MAXIMUM_FEEDERS * KEY_ENTRY_BYTES)],
    ['tokens.json', filler(MAXIMUM_TOKENS * TOKEN_BYTES)],
    ['accounts.json', filler(MAXIMUM_ACCOUNTS * ACCOUNT_BYTES)],
  ]);
}

export async function benchBackup(): Promise<void> {
  const cases: Readonly<Record<string, Documents>> = {
    'nearly empty': new Map([['config.json', filler(512)]]),
    'as full as it can be': fullest(),
    '10 MiB, which it never is': new Map([['filler', filler(10 * MIB)]]),
  };
  console.log(`backup, medians and 9th decile of ${ROUNDS}; sealing and disk alone stand beside it`);
  for (const [name, documents] of Object.entries(cases)) {
    const directory = mkdtempSync(path.join(tmpdir(), 'bench-'));
    try {
      console.log(`  ${name}: ${await measured(await NodeFiles.open({ root: directory }), documents)}`);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
}

async function measured(files: NodeFiles, documents: Documents): Promise<string> {
  const archive = await StateArchive.open(
    { mode: 'NONE' },
    { files, random, wrappings: [new NoneWrapping({ random })] },
  );
  await Promise.all([...documents].map(([name, bytes]) => archive.save(name, bytes)));
  const key = RootKey.create(random);
  const sealed = await sealDocuments(documents, key, random);
  const [backups, seals, writes]: number[][] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    backups!.push(await timed(() => archive.backup()));
    seals!.push(await timed(() => sealDocuments(documents, key, random)));
    writes!.push(await timed(() => replaceFile(files, 'disk', sealed, { keepPreviousAs: 'disk.previous' })));
  }
  await archive.close();
  const kib = Math.round(sealed.length / 1024);
  return `${kib} KiB, backup ${figures(backups!)}; sealing ${figures(seals!)}; disk ${figures(writes!)}`;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

function figures(times: readonly number[]): string {
  return `${median(times).toFixed(1)} / ${quantile(times, 0.9).toFixed(1)} ms`;
}

function filler(bytes: number): Buffer {
  return randomFillSync(Buffer.alloc(bytes));
}
