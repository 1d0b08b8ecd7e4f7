import type { Origin, Portion } from './origin.ts';

/** How many bytes of one origin there are. */
export interface Share {
  readonly origin: Origin;
  bytes: number;
}

/** Counts bytes to the share of their origin; there are few origins, so a list is fast. */
export function addShare(shares: Share[], origin: Origin, bytes: number): void {
  const share = shares.find((one) => isSameOrigin(one.origin, origin));
  if (share === undefined) shares.push({ origin, bytes });
  else share.bytes += bytes;
}

export function isSameOrigin(a: Origin, b: Origin): boolean {
  return a.feeder === b.feeder && a.rateUnits === b.rateUnits;
}

export function bytesOf(shares: readonly Share[]): number {
  return shares.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function sizeOf(portions: readonly Portion[]): number {
  return portions.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

export function creditedUnitsOf(shares: readonly Share[]): number {
  return shares.reduce((sum, { origin, bytes }) => sum + bytes * origin.rateUnits, 0);
}

/** Joins neighbours of one origin, so that fewer records are needed. The bytes are copied; those given stay the caller's. */
export function merged(portions: readonly Portion[]): Portion[] {
  const runs: Portion[][] = [];
  for (const portion of portions) {
    if (portion.bytes.length === 0) continue;
    const run = runs.at(-1);
    if (run?.[0] !== undefined && isSameOrigin(run[0].origin, portion.origin)) run.push(portion);
    else runs.push([portion]);
  }
  return runs.flatMap((run) => {
    const first = run[0];
    return first === undefined
      ? []
      : [{ origin: first.origin, bytes: Buffer.concat(run.map(({ bytes }) => bytes)) }];
  });
}
