import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Debian's own: its packages python3-cryptography and python3-websocket come from the same place as the interpreter. */
const PYTHON = '/usr/bin/python3';
const LIMIT_MS = 30_000;

export const hasPython = spawnSync(PYTHON, ['-c', 'import cryptography, websocket']).status === 0;

/** Path of a program of tests/protocol/python. */
export function pythonProgram(name: string): string {
  return fileURLToPath(new URL(`python/${name}`, import.meta.url));
}

export interface PythonRun {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a Python program to its end, at most 30 s. */
export function runPython(args: readonly string[], input: Uint8Array): Promise<PythonRun> {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const child = spawn(PYTHON, args, { env, timeout: LIMIT_MS, killSignal: 'SIGKILL' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that ends early does not read all of it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) =>
      resolve({ status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
  });
}
