/**
 * What a TPM adds to a start: spawn to READY of a daemon on a state that is there, in mode NONE and in mode TPM on swtpm, in turn; and what
 * the change of the caches' key takes behind it, with caches of the default size.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasSwtpm, SoftwareTpm } from '../tests/tpm/software-tpm.ts';
import { median } from './quantiles.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const STARTS = 11;

export async function benchSeal(): Promise<void> {
  if (!hasSwtpm) {
    console.log('seal: swtpm is not installed');
    return;
  }
  const software = await SoftwareTpm.start();
  const directory = mkdtempSync(path.join(tmpdir(), 'bench-'));
  const modes = {
    none: ['--encryption-mode=none'],
    tpm: ['--encryption-mode=tpm', `--tpm=${software.path}`],
  } as const;
  const times: Record<keyof typeof modes | 'change', number[]> = { none: [], tpm: [], change: [] };
  try {
    for (let n = 0; n <= STARTS; n++) {
      for (const mode of ['none', 'tpm'] as const) {
        const last = mode === 'tpm' ? 'cache.key.changed' : 'daemon.ready';
        const args = [`--state-dir=${directory}/${mode}`, ...modes[mode]];
        const { readyMs, lastMs } = await start(args, directory, last);
        if (n === 0) continue; // it makes the state
        times[mode].push(readyMs);
        if (mode === 'tpm') times.change.push(lastMs - readyMs);
      }
    }
    const [none, tpm] = [median(times.none), median(times.tpm)];
    const differences = times.tpm.map((ms, n) => ms - (times.none[n] ?? 0));
    console.log(
      `seal: start to READY in mode NONE ${none} ms, in mode TPM ${tpm} ms (medians of ${STARTS}); ` +
        `of the differences of pairs: median ${median(differences)} ms, greatest ${Math.max(...differences)} ms`,
    );
    console.log(`seal: then the change of the caches' key, ${median(times.change)} ms`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
    await software.remove();
  }
}

/** Milliseconds from spawn to READY and to the last event that is waited for; it is ended again. */
function start(
  args: readonly string[],
  directory: string,
  last: string,
): Promise<{ readonly readyMs: number; readonly lastMs: number }> {
  return new Promise((resolve, reject) => {
    const from = performance.now();
    const program = path.join(ROOT, 'out', 'entropyd.js');
    const place = [`--runtime-dir=${directory}/run`, '--listen=127.0.0.1:0', '--config=none'];
    const common = [...place, '--entropy-sources=9'];
    const child = spawn(process.execPath, [program, ...common, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    let readyMs = 0;
    let lastMs = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const nowMs = Math.round(performance.now() - from);
      if (readyMs === 0 && output.includes('daemon.ready')) readyMs = nowMs;
      if (readyMs === 0 || lastMs > 0 || !output.includes(last)) return;
      lastMs = nowMs;
      child.kill('SIGTERM');
    });
    child.once('exit', () =>
      lastMs > 0 ? resolve({ readyMs, lastMs }) : reject(new Error(`ended early: ${output}`)),
    );
  });
}
