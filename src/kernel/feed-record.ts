import { EntropyError } from '../base/errors.ts';
import { perSource, SOURCE_NAMES, type PerSource } from '../base/names.ts';
import { CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import type { FeedPath, FeedRecord } from '../contract/outputs.ts';

/** Sums over feeds. Credit is in 1/1024 bit and has no bound, so it neither drifts nor overflows. */
export interface FeedTotals {
  readonly feeds: number;
  readonly bytes: number;
  readonly creditedUnits: PerSource<bigint>;
  readonly creditAskedBits: number;
  readonly creditEffectiveBits: number;
  readonly reseeds: number;
  readonly sinceMs: number;
}

export const NO_FEEDS: FeedTotals = {
  feeds: 0,
  bytes: 0,
  creditedUnits: perSource(() => 0n),
  creditAskedBits: 0,
  creditEffectiveBits: 0,
  reseeds: 0,
  sinceMs: 0,
};

const VERSION = 1;
/** A record is at most this long: its numbers have 17 digits each, its reseed text has 32 characters. */
export const MAXIMUM_ENTRY_BYTES = 512;
const RESEED_PATTERN = /^[\x20-\x7e]{1,32}$/;
const UNITS_PATTERN = /^[0-9]{1,39}$/;

/** Adds a record to totals (sign 1), or takes it out of them again (sign -1); `sinceMs` stays known. */
export function addFeed(totals: FeedTotals, record: FeedRecord, sign: 1 | -1): FeedTotals {
  return {
    feeds: totals.feeds + sign,
    bytes: totals.bytes + sign * record.bytes,
    creditedUnits: perSource(
      (name) => totals.creditedUnits[name] + BigInt(sign * record.creditedBits[name] * CREDIT_UNITS_PER_BIT),
    ),
    creditAskedBits: totals.creditAskedBits + sign * record.creditAskedBits,
    creditEffectiveBits: totals.creditEffectiveBits + sign * record.creditEffectiveBits,
    reseeds: totals.reseeds + (record.reseed === 'done' ? sign : 0),
    sinceMs: totals.feeds === 0 ? record.atMs : totals.sinceMs,
  };
}

/** The record, when its figures are possible ones; RangeError otherwise. */
export function assertFeed(record: FeedRecord): FeedRecord {
  const { sequence, atMs, bytes, creditAskedBits, creditEffectiveBits, creditedBits } = record;
  const units = SOURCE_NAMES.map((name) => creditedBits[name] * CREDIT_UNITS_PER_BIT);
  const figures = [sequence, atMs, bytes, creditAskedBits, creditEffectiveBits, ...units];
  if (!figures.every(isCount))
    throw new RangeError('figures of a feed are whole and not negative, credit in 1/1024 bit');
  if (!RESEED_PATTERN.test(record.reseed))
    throw new RangeError('a reseed result has 1 to 32 printable characters');
  return record;
}

/** Totals as the first entry of a ledger's journal; it carries the version of all its entries. */
export function encodeTotals(totals: FeedTotals): Buffer {
  const creditedUnits = SOURCE_NAMES.map((name) => totals.creditedUnits[name].toString());
  return Buffer.from(JSON.stringify({ version: VERSION, ...totals, creditedUnits }));
}

/** Throws `state-damaged`, `state-version-newer`. */
export function decodeTotals(entry: Buffer | undefined): FeedTotals {
  const content = parse(entry);
  if (typeof content !== 'object' || content === null || !('version' in content)) throw damaged();
  if (content.version !== VERSION) {
    throw new EntropyError('state-version-newer', `the feed ledger has version ${String(content.version)}`);
  }
  const fields: Partial<Record<string, unknown>> = { ...content };
  const { feeds, bytes, creditAskedBits, creditEffectiveBits, reseeds, sinceMs, creditedUnits } = fields;
  if (!isCount(feeds) || !isCount(bytes) || !isCount(reseeds) || !isCount(sinceMs)) throw damaged();
  if (!isCount(creditAskedBits) || !isCount(creditEffectiveBits)) throw damaged();
  const units = perSourceOf(creditedUnits, (value) => {
    if (typeof value !== 'string' || !UNITS_PATTERN.test(value)) throw damaged();
    return BigInt(value);
  });
  return { feeds, bytes, creditedUnits: units, creditAskedBits, creditEffectiveBits, reseeds, sinceMs };
}

/** `[sequence, atMs, bytes, path, credited units by source, credit asked, credit effective, reseed]` as JSON. */
export function encodeFeed(record: FeedRecord): Buffer {
  const { sequence, atMs, bytes, path, creditedBits, creditAskedBits, creditEffectiveBits, reseed } = record;
  const units = SOURCE_NAMES.map((name) => creditedBits[name] * CREDIT_UNITS_PER_BIT);
  return Buffer.from(
    JSON.stringify([sequence, atMs, bytes, path, units, creditAskedBits, creditEffectiveBits, reseed]),
  );
}

/** Throws `state-damaged`. */
export function decodeFeed(entry: Buffer): FeedRecord {
  const content = parse(entry);
  if (!Array.isArray(content) || content.length !== 8) throw damaged();
  const [sequence, atMs, bytes, path, units, creditAskedBits, creditEffectiveBits, reseed] =
    content as unknown[];
  if (!isCount(sequence) || !isCount(atMs) || !isCount(bytes) || !isFeedPath(path)) throw damaged();
  if (!isCount(creditAskedBits) || !isCount(creditEffectiveBits)) throw damaged();
  if (typeof reseed !== 'string' || !RESEED_PATTERN.test(reseed)) throw damaged();
  const creditedBits = perSourceOf(units, (value) => {
    if (!isCount(value)) throw damaged();
    return value / CREDIT_UNITS_PER_BIT;
  });
  return { sequence, atMs, bytes, path, creditedBits, creditAskedBits, creditEffectiveBits, reseed };
}

function parse(entry: Buffer | undefined): unknown {
  try {
    return JSON.parse((entry ?? Buffer.alloc(0)).toString('utf8'));
  } catch (error) {
    throw damaged(error);
  }
}

function perSourceOf<T>(values: unknown, decode: (value: unknown) => T): PerSource<T> {
  if (!Array.isArray(values) || values.length !== SOURCE_NAMES.length) throw damaged();
  const list = values as unknown[];
  return perSource((name) => decode(list[SOURCE_NAMES.indexOf(name)]));
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isFeedPath(value: unknown): value is FeedPath {
  return value === 'ioctl' || value === 'write';
}

function damaged(cause?: unknown): EntropyError {
  return new EntropyError('state-damaged', 'the feed ledger holds an entry that is none', { cause });
}
