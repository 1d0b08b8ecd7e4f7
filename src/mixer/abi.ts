import type { Verdict } from '../base/names.ts';

/**
 * The ABI of the mixer module as the host sees it: what assembly/status.ts, assembly/segments.ts and assembly/index.ts
 * define, once more in one place. wasm-module.ts refuses a module that says otherwise.
 */

export const ABI_VERSION = 1;

/** 4 pages of 64 KiB, initial and maximum. */
export const MEMORY_BYTES = 4 * 65_536;

/** Refusals: a call that answers one of these changed nothing but INPUT, which is zero. */
export const STATUS = {
  ok: 0,
  notReady: -1,
  refusedLength: -2,
  refusedArgument: -3,
  refusedState: -4,
  slotUnconfigured: -5,
  seedsFull: -6,
  seedsMissing: -7,
  notInstantiated: -8,
  reseedRequired: -9,
  failedIntermittent: -10,
  failedPermanent: -11,
} as const;

/** Name of a status, for an error's detail. */
export function statusName(status: number): string {
  return Object.entries(STATUS).find(([, value]) => value === status)?.[0] ?? `status ${status}`;
}

export const VERDICTS: readonly Verdict[] = ['healthy', 'intermittent', 'permanent'];

export const MODULE_STATES = ['idle', 'ready', 'wiped', 'failed'] as const;
export type ModuleState = (typeof MODULE_STATES)[number];

export const SOURCE_COUNT = 4;
export const SLOT_COUNT = 1028;
/** Slots from here on test only: one for each feeder's door. */
export const FIRST_DOOR_SLOT = 4;

const SECRECY = ['constant', 'public', 'secret'] as const;
export type Secrecy = (typeof SECRECY)[number];

export interface Segment {
  readonly name: string;
  readonly bytes: number;
  readonly secrecy: Secrecy;
}

/** Segments in the module's order: the index is the id. */
export const SEGMENTS = [
  { name: 'input', bytes: 65_536, secrecy: 'secret' },
  { name: 'output', bytes: 65_536, secrecy: 'secret' },
  { name: 'credit', bytes: 16, secrecy: 'public' },
  { name: 'limits', bytes: SLOT_COUNT * 32, secrecy: 'public' },
  { name: 'counters', bytes: SLOT_COUNT * 40, secrecy: 'secret' },
  { name: 'pool', bytes: 224, secrecy: 'secret' },
  { name: 'seeds', bytes: 256, secrecy: 'secret' },
  { name: 'drbg', bytes: 240, secrecy: 'secret' },
  { name: 'hash', bytes: 208, secrecy: 'secret' },
  { name: 'work', bytes: 528, secrecy: 'secret' },
  { name: 'scratch', bytes: 1176, secrecy: 'secret' },
  { name: 'sha-512 constants', bytes: 704, secrecy: 'constant' },
  { name: 'known answers', bytes: 400, secrecy: 'constant' },
] as const satisfies readonly Segment[];

export type SegmentName = (typeof SEGMENTS)[number]['name'];

export function secrecyNumber(secrecy: Secrecy): number {
  return SECRECY.indexOf(secrecy);
}

/** What `selfTest` numbers from 1. */
export const SELF_TESTS = [
  'SHA-512, one block',
  'SHA-512, two blocks',
  'SHA-512, in pieces',
  'RCT on bytes, at its cutoffs and one below',
  'RCT on 64-bit words, at its cutoffs and one below',
  'RCT at lag 2 on bytes, at its cutoffs and one below',
  'RCT at lag 2 on 64-bit words, at its cutoffs and one below',
  'APT, at its cutoffs and one below',
  'pool, known blocks and chain',
  'pool, refuses below 320 bits',
  'Hash_DRBG instantiate',
  'Hash_DRBG reseed',
  'Hash_DRBG generate',
  'a wrong answer is told from the right one',
  'wiped memory is zero',
] as const;

/** Every function of the module with the number of its arguments, all i32. */
export const FUNCTIONS = {
  abiVersion: 0,
  moduleState: 0,
  segmentCount: 0,
  segmentAddress: 1,
  segmentCapacity: 1,
  segmentSecrecy: 1,
  selfTestCount: 0,
  seedsReserved: 0,
  drbgInstantiated: 0,
  readyForBlock: 0,
  queryCredit: 0,
  start: 1,
  configureSlot: 8,
  resetSlot: 1,
  test: 2,
  ingest: 4,
  voidCredit: 1,
  extract: 0,
  condition: 4,
  reserveSeed: 0,
  instantiate: 1,
  reseed: 1,
  generate: 2,
  uninstantiate: 0,
  hashStart: 0,
  hashUpdate: 1,
  hashFinish: 0,
  scratchInstantiate: 3,
  scratchReseed: 2,
  scratchGenerate: 2,
  selfTest: 1,
  wipe: 0,
} as const;

export type FunctionName = keyof typeof FUNCTIONS;

export type MixerExports = Readonly<Record<FunctionName, (...integers: number[]) => number>> & {
  readonly memory: WebAssembly.Memory;
};
