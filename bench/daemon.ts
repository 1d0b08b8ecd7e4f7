/**
 * The daemon as a process: time to READY and to the first feed, and what it costs while it idles at its defaults. Beside each figure
 * stands a bare node:http server on a Unix socket, the least that any Node daemon with an HTTP interface can cost.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './quantiles.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const STARTS = 11;
const SETTLE_MS = 5_000;
const IDLE_SECONDS = 60;

/** Clock ticks a second of /proc/PID/stat; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

const BARE_SERVER = `
require('node:http').createServer((_, answer) => answer.end('ok')).listen(process.argv[1], () => console.log('listening'));
`;

export async function benchDaemon(): Promise<void> {
  const ready: number[] = [];
  const fed: number[] = [];
  const bare: number[] = [];
  for (let n = 0; n < STARTS; n++) {
    const times = await timeToLines(startDaemon, ['daemon.ready', 'kernel.fed']);
    ready.push(times[0]!);
    fed.push(times[1]!);
    bare.push((await timeToLines(startBare, ['listening']))[0]!);
  }
  console.log(
    `daemon: start to READY ${median(ready)} ms, to the first feed ${median(fed)} ms (medians of ${STARTS})`,
  );
  console.log(`daemon: bare node:http listens after ${median(bare)} ms`);
  await idle('entropyd at defaults', startDaemon, 'kernel.fed');
  await idle('bare node:http', startBare, 'listening');
}

interface Started {
  readonly child: ChildProcess;
  readonly directory: string;
}

function startDaemon(): Started {
  const directory = mkdtempSync(path.join(tmpdir(), 'bench-'));
  const program = path.join(ROOT, 'out', 'entropyd.js');
  const args = [
    program,
    `--state-dir=${directory}/state`,
    `--runtime-dir=${directory}/run`,
    '--listen=127.0.0.1:0',
  ];
  return { directory, child: spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }) };
}

function startBare(): Started {
  const directory = mkdtempSync(path.join(tmpdir(), 'bench-'));
  const args = ['-e', BARE_SERVER, path.join(directory, 'socket')];
  return { directory, child: spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }) };
}

/** Milliseconds from spawn until each line was seen; then the process is ended. */
async function timeToLines(start: () => Started, lines: readonly string[]): Promise<number[]> {
  const from = performance.now();
  const started = start();
  const times = await seen(started.child, lines, from);
  await end(started);
  return times;
}

function seen(child: ChildProcess, lines: readonly string[], from: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const times = new Map<string, number>();
    let output = '';
    child.once('exit', () => reject(new Error(`ended early: ${output}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      for (const line of lines)
        if (output.includes(line) && !times.has(line)) times.set(line, performance.now() - from);
      if (times.size === lines.length) resolve(lines.map((line) => Math.round(times.get(line)!)));
    });
  });
}

async function idle(what: string, start: () => Started, firstLine: string): Promise<void> {
  const started = start();
  await seen(started.child, [firstLine], 0);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const pid = started.child.pid!;
  const before = cpuSeconds(pid);
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  const percent = ((cpuSeconds(pid) - before) * 100) / IDLE_SECONDS;
  console.log(
    `${what}: ${percent.toFixed(2)} % of a core over ${IDLE_SECONDS} s, ${residentMebibytes(pid).toFixed(1)} MiB resident`,
  );
  await end(started);
}

/** User and system time of the process with all its threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function residentMebibytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]) / 1024;
}

async function end({ child, directory }: Started): Promise<void> {
  child.removeAllListeners('exit');
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
  rmSync(directory, { recursive: true });
}
