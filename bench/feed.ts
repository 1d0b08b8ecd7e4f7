/** The feed, over loopback, from a feeder into a real daemon; its rival is bare-ws.ts, with the same frames and as many on their way. */
import { randomFillSync } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { BareWs, type FrameRun } from './bare-ws.ts';
import { FeedHost, type FeedClient } from './feed-host.ts';
import { FeederProcess } from './feeder-process.ts';
import type { BenchRatio } from './harness.ts';
import { median, quantile } from './quantiles.ts';

const ROUNDS = 5;
const IN_FLIGHT = 16;
/** Below the largest memory cache, so that all of it goes to memory. */
const LARGE: FrameRun = { frames: 1000, frameBytes: 65_536 };
const SMALL: FrameRun = { frames: 4000, frameBytes: 32 };
/** V8 compiles in the background for some 3,000 large frames: the first run of them tells of a daemon just started, the last of one that runs. */
const RUNS = [SMALL, LARGE, LARGE, LARGE, LARGE];

const STORED: FrameRun = { frames: 10_000, frameBytes: 4096 };
const STORED_TARGET = 2000;

const IDLE_FEEDERS = 1000;
const IDLE_TARGET_MEBIBYTES = 60;

const LATENCY_FRAMES_PER_SECOND = 100;
const LATENCY_SECONDS = 20;

export async function benchFeed(): Promise<BenchRatio[]> {
  const ratios = await memoryRatios();
  const stored = await storedRate();
  console.log(`feed: ${stored.toFixed(0)} stored frames of 4 KiB a second, each receipt after its fsync`);
  await latency();
  await idleFeeders();
  return [
    ...ratios,
    { label: 'stored frames of 4 KiB a second / 2,000', ratio: stored / STORED_TARGET, target: 1 },
  ];
}

async function memoryRatios(): Promise<BenchRatio[]> {
  const rivals = {
    'bare ws': await BareWs.build({ wordWise: false }),
    'bare ws with the masking of the programs': await BareWs.build({ wordWise: true }),
  };
  const names = Object.keys(rivals);
  const bare = new Map<string, number[][]>(names.map((name) => [name, []]));
  const fed: number[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, rival] of Object.entries(rivals))
      bare.get(name)?.push(await rival.rates({ runs: RUNS, inFlight: IN_FLIGHT }));
    fed.push(await memoryRates());
  }
  for (const rival of Object.values(rivals)) rival.remove();
  const states = { 'just started': 1, warm: RUNS.length - 1 };
  return Object.entries(states).flatMap(([state, run]) => {
    const ours = ratesOf(fed, run);
    console.log(`feed: ${state}, into memory ${told(ours)}, 64 KiB frames, ${IN_FLIGHT} in flight`);
    return names.map((name) => {
      const theirs = ratesOf(bare.get(name) ?? [], run);
      console.log(`feed: ${state}, ${name} ${told(theirs)}, the same frames`);
      const isGoal = state === 'warm' && name === 'bare ws';
      const label = `feed into memory / ${name}, 64 KiB frames, ${state}`;
      return { label, ratio: median(ours) / median(theirs), ...(isGoal ? { target: 0.4 } : {}) };
    });
  });
}

/** Megabytes a second of each run into the memory cache of a fresh daemon; each empties the cache for the next. */
function memoryRates(): Promise<number[]> {
  return withFeeder(['--memory-cache-size=65536'], async (host, feeder) => {
    const rates: number[] = [];
    for (const [index, run] of RUNS.entries()) {
      const name = `bench-${index}`;
      const [result] = await feeder.feed(await host.enrol(name), [run], IN_FLIGHT);
      rates.push((run.frames * run.frameBytes) / (result?.seconds ?? NaN) / 1e6);
      await host.revoke(name);
    }
    return rates;
  });
}

/** Frames a second whose receipts say that they are on disk. */
function storedRate(): Promise<number> {
  return withFeeder(['--memory-cache-size=64', '--storage-cache-size=131072'], async (host, feeder) => {
    const [, stored] = await feeder.feed(await host.enrol('bench'), [SMALL, STORED], IN_FLIGHT);
    // The daemon's own draws make room in memory for a few bytes now and then, but never for a whole frame.
    if (stored?.unstoredFrames !== 0) throw new Error('a frame was not stored');
    return STORED.frames / stored.seconds;
  });
}

function latency(): Promise<void> {
  return withHost(['--memory-cache-size=65536'], async (host) => {
    const client = await host.client('bench');
    await client.connect();
    const times: number[] = [];
    const startMs = performance.now();
    for (let frame = 0; frame < LATENCY_FRAMES_PER_SECOND * LATENCY_SECONDS; frame++) {
      await pause(Math.max(0, startMs + (frame * 1000) / LATENCY_FRAMES_PER_SECOND - performance.now()));
      const payload = randomFillSync(new Uint8Array(STORED.frameBytes));
      const sentMs = performance.now();
      void client.send(payload).then(() => times.push(performance.now() - sentMs));
    }
    await client.settled();
    await client.close();
    const at = (share: number): string => quantile(times, share).toFixed(2);
    console.log(
      `feed: receipt after ${at(0.5)} ms (p50), ${at(0.99)} ms (p99) at ${LATENCY_FRAMES_PER_SECOND} frames/s`,
    );
  });
}

/** Gives `use` a fresh daemon and a feeder, and ends both whatever happens. */
function withFeeder<T>(
  args: readonly string[],
  use: (host: FeedHost, feeder: FeederProcess) => Promise<T>,
): Promise<T> {
  return withHost(args, async (host) => {
    const feeder = new FeederProcess();
    try {
      return await use(host, feeder);
    } finally {
      feeder.stop();
    }
  });
}

async function withHost<T>(args: readonly string[], use: (host: FeedHost) => Promise<T>): Promise<T> {
  const host = await FeedHost.start(args);
  try {
    return await use(host);
  } finally {
    await host.stop();
  }
}

async function idleFeeders(): Promise<void> {
  const host = await FeedHost.start([]);
  const clients: FeedClient[] = [];
  for (let n = 0; n < IDLE_FEEDERS; n++) clients.push(await host.client(`idle-${n}`));
  await pause(5000);
  const before = host.residentMebibytes;
  for (let n = 0; n < IDLE_FEEDERS; n += 20)
    await Promise.all(clients.slice(n, n + 20).map((client) => client.connect()));
  await pause(5000);
  const extra = host.residentMebibytes - before;
  console.log(
    `feed: ${IDLE_FEEDERS} idle feeders take ${extra.toFixed(1)} MiB (target ${IDLE_TARGET_MEBIBYTES}), ${before.toFixed(1)} MiB before`,
  );
  await host.stop();
  await Promise.all(clients.map((client) => client.close()));
}

/** Of one run in all rounds. */
function ratesOf(rounds: readonly (readonly number[])[], run: number): number[] {
  return rounds.map((rates) => rates[run] ?? NaN);
}

function told(rates: readonly number[]): string {
  const [least, greatest] = [Math.min(...rates), Math.max(...rates)];
  return `${median(rates).toFixed(0)} MB/s (${least.toFixed(0)} to ${greatest.toFixed(0)} in ${rates.length} rounds)`;
}
