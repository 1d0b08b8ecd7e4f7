/** What a TPM adds to a start: spawn to READY of a daemon on a state that is there, in mode NONE and in mode TPM on swtpm, in turn. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasSwtpm, SoftwareTpm } from '../tests/tpm/software-tpm.ts';

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
  const times: Record<keyof typeof modes, number[]> = { none: [], tpm: [] };
  try {
    for (let n = 0; n <= STARTS; n++) {
      for (const mode of ['none', 'tpm'] as const) {
        const ms = await start([`--state-dir=${directory}/${mode}`, ...modes[mode]], directory);
        if (n > 0) times[mode].push(ms); // the first makes the state
      }
    }
    const [none, tpm] = [median(times.none), median(times.tpm)];
    console.log(`seal: start to READY in mode NONE ${none} ms, in mode TPM ${tpm} ms (medians of ${STARTS})`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
    await software.remove();
  }
}

/** Milliseconds from spawn to READY; it is ended again. */
function start(args: readonly string[], directory: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const from = performance.now();
    const program = path.join(ROOT, 'out', 'entropyd.js');
    const common = [`--runtime-dir=${directory}/run`, '--listen=127.0.0.1:0', '--config=none'];
    const child = spawn(process.execPath, [program, ...common, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    let ms = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (ms > 0 || !output.includes('daemon.ready')) return;
      ms = Math.round(performance.now() - from);
      child.kill('SIGTERM');
    });
    child.once('exit', () => (ms > 0 ? resolve(ms) : reject(new Error(`ended early: ${output}`))));
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
