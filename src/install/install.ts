import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import { EntropyError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import type { Verdict } from '../base/names.ts';
import type { RandomSource } from '../base/random.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import { writeInstallSeed } from '../cache/install-seed.ts';
import type { Geometry } from '../cache/storage-layout.ts';
import type { DurableFiles } from '../durable/durable-files.ts';
import { SeedFingerprint } from '../protocol/install-seed.ts';
import { isInMask } from '../policy/source-mask.ts';
import type { ConfigStore } from '../state/config-store.ts';
import { cacheKeys, wipeRing } from '../state/cache-key-ring.ts';
import type { Enrolment } from '../state/enrolment.ts';
import {
  encodeInstallRecord,
  INSTALL_RECORD,
  readInstallRecord,
  type InstallRecord,
} from '../state/install-record.ts';
import type { StateArchive } from '../state/state-archive.ts';
import type { EntropyCommand, Kickstart } from './kickstart.ts';

export interface InstallOptions {
  /** Credit of the seed's bytes, in 1/1024 bit, 1 to 8,192. */
  readonly rateUnits: number;
  readonly geometry?: Geometry;
}

export interface InstallDependencies {
  readonly files: DurableFiles;
  readonly archive: StateArchive;
  readonly config: ConfigStore;
  readonly enrolment: Enrolment;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly counters: Counters;
  /** The tests at the door, on 1 to 65,536 bytes after those before. */
  readonly test: (bytes: Uint8Array) => Verdict;
}

/** What was installed, or would be. */
export interface Installed {
  readonly record: InstallRecord;
  /** What the operator should know. */
  readonly warnings: readonly string[];
}

/** One image, many hosts: a seed may be shared, so a byte of it is worth little unless the operator says more. */
export const DEFAULT_SEED_RATE_UNITS = CREDIT_UNITS_PER_BIT;

const TESTED_AT_ONCE_BYTES = 65_536;

/**
 * Installs a new state from a kickstart. The seed's area is written first, then mask and record in one archive:
 *
 *   area written, synced ──► archive replaced, synced ──► done
 *   └ crash: an area that no record names, removed at the next opening
 *
 * @throws EntropyError install-refused, kickstart-invalid, state-unwritable, and what made the archive be refused: nothing changed
 */
export async function install(
  kickstart: Kickstart,
  options: InstallOptions,
  dependencies: InstallDependencies,
): Promise<Installed> {
  assertNew(dependencies);
  const installed = planInstall(kickstart, options, dependencies);
  await write(kickstart.entropy, installed.record, options, dependencies);
  return installed;
}

/** What `install` would do with a new state; writes nothing. @throws EntropyError kickstart-invalid */
export function planInstall(
  { entropy }: Kickstart,
  options: Pick<InstallOptions, 'rateUnits'>,
  dependencies: Pick<InstallDependencies, 'clock' | 'test'>,
): Installed {
  if (entropy?.seed !== undefined) assertHealthy(entropy, entropy.seed, dependencies);
  const record = recordOf(entropy, options, dependencies);
  return { record, warnings: warningsOf(record) };
}

/** Made by defaults alone: nobody was enrolled, no seed was installed, no parameter is stored. */
export function assertNew({
  archive,
  config,
  enrolment,
}: Pick<InstallDependencies, 'archive' | 'config' | 'enrolment'>): void {
  const refused = archive.refused ?? config.refused ?? enrolment.refused;
  if (refused !== undefined) throw refused;
  const seed = readInstallRecord({ archive })?.seed ?? null;
  const because = [
    ...(enrolment.untouched ? [] : ['a feeder was enrolled']),
    ...(seed === null ? [] : [`the seed ${seed.fingerprint} was installed`]),
    ...(config.storesNothing ? [] : ['a parameter was changed']),
  ];
  if (because.length > 0)
    throw new EntropyError('install-refused', `the state is not new: ${because.join(', ')}`);
}

function assertHealthy(
  { line }: EntropyCommand,
  seed: Uint8Array,
  { test }: Pick<InstallDependencies, 'test'>,
): void {
  for (let at = 0; at < seed.length; at += TESTED_AT_ONCE_BYTES) {
    if (test(seed.subarray(at, at + TESTED_AT_ONCE_BYTES)) === 'healthy') continue;
    const place = `among its bytes ${at} to ${Math.min(seed.length, at + TESTED_AT_ONCE_BYTES) - 1}`;
    throw new EntropyError(
      'kickstart-invalid',
      `line ${line}: \`entropy\` has --data that fails the health tests, ${place}: it repeats itself, or is no random data`,
    );
  }
}

function recordOf(
  entropy: EntropyCommand | undefined,
  { rateUnits }: Pick<InstallOptions, 'rateUnits'>,
  { clock }: Pick<InstallDependencies, 'clock'>,
): InstallRecord {
  const installedMs = Math.floor(clock.wallMs());
  const sources = entropy?.sources ?? null;
  if (entropy?.seed === undefined) return { installedMs, sources, seed: null };
  const { seed } = entropy;
  return {
    installedMs,
    sources,
    seed: {
      bytes: seed.length,
      rateUnits,
      fingerprint: new SeedFingerprint().update(seed).text(),
      usedUp: false,
    },
  };
}

async function write(
  entropy: EntropyCommand | undefined,
  record: InstallRecord,
  { rateUnits, geometry }: InstallOptions,
  dependencies: InstallDependencies,
): Promise<void> {
  if (entropy?.seed !== undefined) {
    const keys = await cacheKeys(dependencies);
    try {
      const options = { seed: entropy.seed, rateUnits, ...(geometry && { geometry }) };
      await writeInstallSeed(options, { ...dependencies, keys });
    } finally {
      wipeRing(keys);
    }
  }
  const encoded = encodeInstallRecord(record);
  const { archive, config } = dependencies;
  if (record.sources === null) await archive.save(INSTALL_RECORD, encoded);
  else await config.change({ entropySources: record.sources }, new Map([[INSTALL_RECORD, encoded]]));
}

function warningsOf({ sources, seed }: InstallRecord): string[] {
  const isExternal = isInMask(sources ?? 0, 'external');
  const warnings: string[] = [];
  if (isExternal && seed === null)
    warnings.push(`the mask ${sources ?? 0} has bit 8 and there is no --data: the gate waits for a feeder`);
  if (!isExternal && seed !== null)
    warnings.push(
      `there is --data and the mask ${sources ?? 0} lacks bit 8: the seed is kept, and used once bit 8 is in entropySources`,
    );
  if (sources === 8)
    warnings.push(
      'under the mask 8 nothing but external entropy counts: feed the host before the seed is used up, or use 12',
    );
  return warnings;
}
