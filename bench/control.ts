/**
 * The control command as scripts use it: from the start of the process to its end, against a daemon at its defaults. Beside it stands a
 * Node that does nothing, the least that any command in it can cost.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchRatio } from './harness.ts';
import { median } from './quantiles.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RUNS = 21;
const TARGET_MS = 250;

const COMMANDS = [
  'mixer explain gate-closed',
  'system entropyd get',
  'system entropyd set --memory-cache-size=612',
  'system settings kernel list',
  'mixer config list --formatter=json',
  'mixer status',
] as const;

export async function benchControl(): Promise<BenchRatio[]> {
  const directory = mkdtempSync(path.join(tmpdir(), 'bench-'));
  const runtime = `--runtime-dir=${directory}/run`;
  const args = [path.join(ROOT, 'out', 'entropyd.js'), `--state-dir=${directory}/state`, runtime];
  const daemon = spawn(process.execPath, [...args, '--listen=127.0.0.1:0', '--config=none'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise<void>((resolve) => {
      daemon.stdout.on('data', (chunk: Buffer) => {
        if (chunk.includes('daemon.ready')) resolve();
      });
    });
    const bare = timesOf(['-e', '0']);
    console.log(`\nentropyctl, process start included, ${RUNS} runs each: median, slowest`);
    tell('node -e 0', bare);
    const program = path.join(ROOT, 'bin', 'entropyctl');
    return COMMANDS.map((line) => {
      const times = timesOf([program, runtime, ...line.split(' ')]);
      tell(line, times);
      return { label: `${TARGET_MS} ms over ${line}`, ratio: TARGET_MS / median(times), target: 1 };
    });
  } finally {
    daemon.kill();
    await new Promise((resolve) => daemon.once('close', resolve));
    rmSync(directory, { recursive: true });
  }
}

function timesOf(args: readonly string[]): number[] {
  return Array.from({ length: RUNS }, () => {
    const from = performance.now();
    const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${args.join(' ')}: exit ${String(status)}`);
    return performance.now() - from;
  });
}

function tell(what: string, times: readonly number[]): void {
  console.log(`  ${what.padEnd(46)} ${median(times).toFixed(0)} ms, ${Math.max(...times).toFixed(0)} ms`);
}
