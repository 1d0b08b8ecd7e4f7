/** The feed, over loopback, from this process into a real daemon; its rival is bare-ws.ts, with the same frames and as many on their way. */
import { randomFillSync } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { BareWs } from './bare-ws.ts';
import { FeedHost, type FeedClient } from './feed-host.ts';
import type { BenchRatio } from './harness.ts';

const ROUNDS = 5;
const FRAME_BYTES = 65_536;
/** Below the largest memory cache, so that all of it goes to memory. */
const FRAMES = 1000;
const IN_FLIGHT = 16;
/** Small frames that go before, on both sides of the comparison: what a daemon costs that has just started is told elsewhere. */
const WARMING_FRAMES = 4000;
const WARMING_BYTES = 32;

const BARE_LOAD = {
  frames: FRAMES,
  frameBytes: FRAME_BYTES,
  inFlight: IN_FLIGHT,
  warmingFrames: WARMING_FRAMES,
  warmingBytes: WARMING_BYTES,
};

const STORED_FRAME_BYTES = 4096;
const STORED_FRAMES = 10_000;
const STORED_TARGET = 2000;

const IDLE_FEEDERS = 1000;
const IDLE_TARGET_MEBIBYTES = 60;

const LATENCY_FRAMES_PER_SECOND = 100;
const LATENCY_SECONDS = 20;

export async function benchFeed(): Promise<BenchRatio[]> {
  const rivals = {
    'bare ws': await BareWs.build({ wordWise: false }),
    'bare ws with the masking of the programs': await BareWs.build({ wordWise: true }),
  };
  const bare = new Map<string, number[]>(Object.keys(rivals).map((name) => [name, []]));
  const fed: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, rival] of Object.entries(rivals)) bare.get(name)?.push(await rival.rate(BARE_LOAD));
    fed.push(await memoryRate());
  }
  for (const rival of Object.values(rivals)) rival.remove();
  console.log(
    `feed: into memory ${median(fed).toFixed(0)} MB/s, 64 KiB frames, ${IN_FLIGHT} in flight (${spread(fed)})`,
  );
  for (const [name, rates] of bare)
    console.log(`feed: ${name} ${median(rates).toFixed(0)} MB/s, the same frames (${spread(rates)})`);
  const stored = await storedRate();
  console.log(`feed: ${stored.toFixed(0)} stored frames of 4 KiB a second, each receipt after its fsync`);
  await latency();
  await idleFeeders();
  return [
    ...[...bare].map(([name, rates]) => ({
      label: `feed into memory / ${name}, 64 KiB frames`,
      ratio: median(fed) / median(rates),
      ...(name === 'bare ws' ? { target: 0.4 } : {}),
    })),
    { label: 'stored frames of 4 KiB a second / 2,000', ratio: stored / STORED_TARGET, target: 1 },
  ];
}

/** Megabytes a second into the memory cache of a fresh daemon. */
function memoryRate(): Promise<number> {
  return withClient(['--memory-cache-size=65536'], async (client) => {
    await sendAll(client, WARMING_FRAMES, WARMING_BYTES);
    const seconds = await sendAll(client, FRAMES, FRAME_BYTES);
    return (FRAMES * FRAME_BYTES) / seconds / 1e6;
  });
}

/** Frames a second whose receipts say that they are on disk. */
function storedRate(): Promise<number> {
  return withClient(['--memory-cache-size=64', '--storage-cache-size=131072'], async (client) => {
    await sendAll(client, WARMING_FRAMES, WARMING_BYTES);
    const seconds = await sendAll(client, STORED_FRAMES, STORED_FRAME_BYTES, (storedBytes) => {
      // The daemon's own draws make room in memory for a few bytes now and then.
      if (storedBytes === 0) throw new Error('a frame was not stored');
    });
    return STORED_FRAMES / seconds;
  });
}

function latency(): Promise<void> {
  return withClient(['--memory-cache-size=65536'], async (client) => {
    const times: number[] = [];
    const startMs = performance.now();
    for (let frame = 0; frame < LATENCY_FRAMES_PER_SECOND * LATENCY_SECONDS; frame++) {
      await pause(Math.max(0, startMs + (frame * 1000) / LATENCY_FRAMES_PER_SECOND - performance.now()));
      const payload = randomFillSync(new Uint8Array(STORED_FRAME_BYTES));
      const sentMs = performance.now();
      void client.send(payload).then(() => times.push(performance.now() - sentMs));
    }
    await client.settled();
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? NaN).toFixed(2);
    console.log(
      `feed: receipt after ${at(0.5)} ms (p50), ${at(0.99)} ms (p99) at ${LATENCY_FRAMES_PER_SECOND} frames/s`,
    );
  });
}

/** Lets `use` feed a fresh daemon, and ends both whatever happens. */
async function withClient<T>(args: readonly string[], use: (client: FeedClient) => Promise<T>): Promise<T> {
  const host = await FeedHost.start(args);
  try {
    const client = await host.client('bench');
    await client.connect();
    const result = await use(client);
    await client.close();
    return result;
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

/** Sends frames with IN_FLIGHT on their way; seconds until the last receipt. */
async function sendAll(
  client: FeedClient,
  frames: number,
  frameBytes: number,
  check: (storedBytes: number) => void = () => undefined,
): Promise<number> {
  const startMs = performance.now();
  let left = frames;
  const lane = async (): Promise<void> => {
    const payload = new Uint8Array(frameBytes);
    while (left-- > 0) {
      randomFillSync(payload);
      check((await client.send(payload)).storedBytes);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return (performance.now() - startMs) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)} in ${values.length} rounds`;
}
