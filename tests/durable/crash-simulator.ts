import { messageOf } from '../../src/base/errors.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { count, LONG } from '../counts.ts';
import { SimulatedDisk, type Change } from './simulated-disk.ts';
import { SimulatedFiles } from './simulated-files.ts';

/**
 * Explores what a power failure can leave of a protocol. `run` is recorded once; then for each point at which it may
 * stop, every disk that may survive is built, and `check` opens it with the real code and asserts what was promised.
 *
 * A change that no sync covered survives or not, whatever became of the others: content before names, names before
 * content, later before earlier. Of a write any beginning may survive, cut between sectors or within one, or any end
 * from a sector on, or just the size it gave the file, as zeros. Two changes of one file or directory may also take
 * effect in the opposite order. Up to 12 unsynced changes all subsets are tried, with each change torn in turn in
 * each way; beyond that, seeded samples with everything at random (CRASH_SEED=n replays one). Equal disks with equal
 * marks are checked once, so `check` must judge by these alone.
 *
 * The process may also die alone, and the power fail later. `check` then runs on a disk whose old changes are still
 * unsynced; the power fails when it is done, and `recheck` sees whether what it had been told still holds.
 */
export interface CrashScenario<Seen = void> {
  /** Makes what is on the disk before, all of it durable. */
  readonly setup?: (files: DurableFiles) => Promise<void>;
  /** The protocol; `mark` notes what it promised once a promise has resolved, or that something has begun. */
  readonly run: (files: DurableFiles, mark: (name: string) => void) => Promise<void>;
  /** Asserts on a surviving disk; gives what a user of it was told. */
  readonly check: (files: DurableFiles, stop: CrashStop) => Promise<Seen>;
  /** Asserts that what `check` was told by a disk still holds after one more power failure. */
  readonly recheck?: (files: DurableFiles, stop: CrashStop, seen: Seen) => Promise<void>;
}

export interface CrashStop {
  /** How many operations were done. */
  readonly operations: number;
  /** The last of them. */
  readonly after: string;
  /** All marks so far. */
  readonly completed: ReadonlySet<string>;
}

export interface CrashOptions {
  /** Leaves out the sync with this number (from 0) in `run`. */
  readonly ignoreSync?: number;
  /** Leaves out the sync with this number in what `check` does before the second power failure. */
  readonly ignoreReopenSync?: number;
}

/** What was explored. */
export interface Exploration {
  readonly operations: number;
  readonly syncs: number;
  /** The most syncs that `check` did on a disk of a process that died. */
  readonly reopenSyncs: number;
  readonly disks: number;
  /** Stops with more than 12 unsynced changes, where survivors were sampled. */
  readonly sampledStops: number;
}

/** A promise that a crash can break; the message tells how to see it again. */
export class CrashViolation extends Error {
  override readonly name = 'CrashViolation';
}

const EXHAUSTIVE_CHANGES = 12;
const SECTOR_BYTES = 512;
/** Of a long write, this many of the first and of the last sectors are tried as cuts. */
const EDGE_SECTORS = 3;

/** Explores all stops and survivors; throws CrashViolation at the first broken promise. */
export async function exploreCrashes<Seen>(
  scenario: CrashScenario<Seen>,
  options: CrashOptions = {},
): Promise<Exploration> {
  const { start, files } = await recorded(scenario, options);
  const exploration = {
    operations: files.operations.length,
    syncs: files.syncs,
    reopenSyncs: 0,
    disks: 0,
    sampledStops: 0,
  };
  const checked = new Set<string>();
  const completed = new Set<string>();
  let after = 'the start';
  for (let done = 0; ; done++) {
    const next = files.operations[done];
    if (next?.kind === 'mark' && next.mark !== '') {
      completed.add(next.mark);
      continue;
    }
    const stop: CrashStop = { operations: done, after, completed: new Set(completed) };
    await checkSurvivors(scenario, start, stop, checked, exploration);
    if (scenario.recheck !== undefined)
      await checkTwice(scenario, start, stop, checked, exploration, options);
    if (next === undefined) return told(exploration, options);
    start.apply(next);
    after = next.label;
  }
}

/** In the long form, an exploration with every sync in place reports its size. */
function told(exploration: Exploration, options: CrashOptions): Exploration {
  const { operations, disks, sampledStops } = exploration;
  if (LONG && Object.keys(options).length === 0) {
    console.log(
      `\n# crash simulator: ${operations} operations, ${disks} disks, ${sampledStops} stops sampled`,
    );
  }
  return exploration;
}

/** The violation that the exploration finds; undefined when every promise holds. */
export async function findViolation<Seen>(
  scenario: CrashScenario<Seen>,
  options: CrashOptions = {},
): Promise<CrashViolation | undefined> {
  try {
    await exploreCrashes(scenario, options);
    return undefined;
  } catch (error) {
    if (error instanceof CrashViolation) return error;
    throw error;
  }
}

/**
 * Explores the scenario as it is, then once without each of its syncs: that must break a promise, or the sync is
 * superfluous. Several scenarios are several ways to look at one `run`; a sync is needed when one of them needs it.
 * Gives the names of those that none does; they are to be removed or explained.
 */
export async function superfluousSyncs<Seen>(
  ...scenarios: readonly CrashScenario<Seen>[]
): Promise<string[]> {
  let [syncs, reopenSyncs] = [0, 0];
  for (const scenario of scenarios) {
    const exploration = await exploreCrashes(scenario);
    syncs = Math.max(syncs, exploration.syncs);
    reopenSyncs = Math.max(reopenSyncs, exploration.reopenSyncs);
  }
  const superfluous: string[] = [];
  for (let ignoreSync = 0; ignoreSync < syncs; ignoreSync++) {
    if (!(await isNeeded(scenarios, { ignoreSync }))) superfluous.push(`run: sync ${ignoreSync}`);
  }
  for (let ignoreReopenSync = 0; ignoreReopenSync < reopenSyncs; ignoreReopenSync++) {
    if (!(await isNeeded(scenarios, { ignoreReopenSync })))
      superfluous.push(`reopening: sync ${ignoreReopenSync}`);
  }
  return superfluous;
}

async function isNeeded<Seen>(
  scenarios: readonly CrashScenario<Seen>[],
  options: CrashOptions,
): Promise<boolean> {
  for (const scenario of scenarios) {
    if ((await findViolation(scenario, options)) !== undefined) return true;
  }
  return false;
}

async function recorded<Seen>(
  scenario: CrashScenario<Seen>,
  options: CrashOptions,
): Promise<{ start: SimulatedDisk; files: SimulatedFiles }> {
  const disk = new SimulatedDisk();
  await scenario.setup?.(new SimulatedFiles(disk));
  disk.settle();
  const files = new SimulatedFiles(disk.clone(), options.ignoreSync);
  await scenario.run(files, (name) => files.mark(name));
  return { start: disk, files };
}

async function checkSurvivors<Seen>(
  scenario: CrashScenario<Seen>,
  disk: SimulatedDisk,
  stop: CrashStop,
  checked: Set<string>,
  exploration: { disks: number; sampledStops: number },
): Promise<void> {
  const marks = [...stop.completed].join();
  if (disk.pending.length > EXHAUSTIVE_CHANGES) exploration.sampledStops++;
  for (const survivor of survivors(disk.pending)) {
    const surviving = disk.surviving(survivor.changes);
    if (isKnown(checked, `${surviving.digest()} ${marks}`)) continue;
    exploration.disks++;
    await explained(stop, survivor.description, () => scenario.check(new SimulatedFiles(surviving), stop));
  }
}

/** The process dies, the next one opens what is there, the power fails, and a third one looks. */
async function checkTwice<Seen>(
  scenario: CrashScenario<Seen>,
  disk: SimulatedDisk,
  stop: CrashStop,
  checked: Set<string>,
  exploration: { disks: number; reopenSyncs: number },
  options: CrashOptions,
): Promise<void> {
  const reopened = new SimulatedFiles(disk.clone(), options.ignoreReopenSync);
  const seen = await explained(stop, 'the process died', () => scenario.check(reopened, stop));
  exploration.reopenSyncs = Math.max(exploration.reopenSyncs, reopened.syncs);
  for (const survivor of survivors(reopened.disk.pending)) {
    const surviving = reopened.disk.surviving(survivor.changes);
    if (isKnown(checked, `${surviving.digest()} reopened at ${stop.operations}`)) continue;
    exploration.disks++;
    const description = `the process died, the next one opened, then ${survivor.description}`;
    await explained(stop, description, async () =>
      scenario.recheck?.(new SimulatedFiles(surviving), stop, seen),
    );
  }
}

function isKnown(checked: Set<string>, key: string): boolean {
  if (checked.has(key)) return true;
  checked.add(key);
  return false;
}

async function explained<T>(stop: CrashStop, description: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const marks = [...stop.completed].join(', ') || 'nothing';
    throw new CrashViolation(
      `stopped after operation ${stop.operations} (${stop.after}), completed: ${marks}; ${description}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

interface Survivor {
  readonly changes: readonly Change[];
  readonly description: string;
}

function survivors(pending: readonly Change[]): Generator<Survivor> {
  return pending.length <= EXHAUSTIVE_CHANGES ? allSurvivors(pending) : sampledSurvivors(pending);
}

function* allSurvivors(pending: readonly Change[]): Generator<Survivor> {
  for (let mask = 0; mask < 2 ** pending.length; mask++) {
    const kept = pending.filter((_, index) => (mask >> index) & 1);
    const description = `kept ${pending.map((_, index) => (mask >> index) & 1).join('')} of its unsynced changes`;
    yield { changes: kept, description };
    for (const [index, change] of kept.entries()) {
      for (const part of partsOf(change)) {
        yield {
          changes: kept.with(index, part.change),
          description: `${description}, number ${index} ${part.name}`,
        };
      }
      for (let other = index + 1; other < kept.length; other++) {
        if (!sameTarget(change, kept[other]!)) continue;
        const swapped = kept.with(index, kept[other]!).with(other, change);
        yield { changes: swapped, description: `${description}, ${index} and ${other} exchanged` };
      }
    }
  }
}

function* sampledSurvivors(pending: readonly Change[]): Generator<Survivor> {
  const firstSeed = Number(process.env.CRASH_SEED ?? 1);
  const samples = process.env.CRASH_SEED === undefined ? count(200, 2000) : 1;
  for (let seed = firstSeed; seed < firstSeed + samples; seed++) {
    const random = seededRandom(seed);
    const changes = pending.flatMap((change) => {
      const fates = [undefined, change, change, ...[...partsOf(change)].map((part) => part.change)];
      const fate = fates[Math.floor(random() * fates.length)];
      return fate === undefined ? [] : [fate];
    });
    const swaps = Math.floor(random() * 3);
    for (let swap = 0; swap < swaps; swap++) {
      const index = Math.floor(random() * changes.length);
      const other = Math.floor(random() * changes.length);
      const [a, b] = [changes[index], changes[other]];
      if (a !== undefined && b !== undefined && sameTarget(a, b)) [changes[index], changes[other]] = [b, a];
    }
    yield { changes, description: `sample with CRASH_SEED=${seed}` };
  }
}

/** The ways in which a write may survive in part. */
function* partsOf(change: Change): Generator<{ readonly change: Change; readonly name: string }> {
  if (change.kind !== 'write') return;
  const { offset, bytes } = change;
  const length = bytes.length;
  const zeros = { ...change, offset: offset + length, bytes: Buffer.alloc(0) };
  yield { change: zeros, name: 'as size only' };
  for (const cut of new Set([...sectorCuts(offset, length), 1, length >> 1, length - 1])) {
    if (cut <= 0 || cut >= length) continue;
    yield { change: { ...change, bytes: bytes.subarray(0, cut) }, name: `cut to ${cut} bytes` };
  }
  for (const cut of sectorCuts(offset, length)) {
    yield {
      change: { ...change, offset: offset + cut, bytes: bytes.subarray(cut) },
      name: `without its first ${cut} bytes`,
    };
  }
}

/** Where sector boundaries fall within a write, as positions in it: all of them, or the first and last of many. */
function sectorCuts(offset: number, length: number): number[] {
  const cuts: number[] = [];
  for (let cut = SECTOR_BYTES - (offset % SECTOR_BYTES); cut < length; cut += SECTOR_BYTES) cuts.push(cut);
  return cuts.length <= 2 * EDGE_SECTORS
    ? cuts
    : [...cuts.slice(0, EDGE_SECTORS), ...cuts.slice(-EDGE_SECTORS)];
}

function sameTarget(a: Change, b: Change): boolean {
  if (a.kind === 'entries' || b.kind === 'entries') {
    return a.kind === 'entries' && b.kind === 'entries' && a.directory === b.directory;
  }
  return a.inode === b.inode;
}

/** Numbers from 0 to 1, always the same ones for a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
