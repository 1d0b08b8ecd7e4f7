import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { SystemClock } from '../../src/base/clock.ts';
import type { Io } from '../../src/cli/io.ts';
import { run } from '../../src/cli/main.ts';

export interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the control command as its program does, without a process. */
export async function runCommand(argv: readonly string[], change: Partial<Io> = {}): Promise<Outcome> {
  const out = { stdout: '', stderr: '' };
  const exit = await run(argv, {
    program: 'entropyctl',
    stdout: (text) => (out.stdout += text),
    stderr: (text) => (out.stderr += text),
    environment: {},
    uid: 1000,
    configurationFile: '/none/entropyd.conf',
    workingDirectory: '/none',
    isTerminal: false,
    clock: new SystemClock(),
    version: '0.1.0',
    interruption: () => new AbortController().signal,
    ...change,
  });
  return { exit, ...out };
}

const GOLDEN = path.join(path.dirname(fileURLToPath(import.meta.url)), 'golden');

/**
 * Compares with tests/cli/golden/NAME.txt, byte for byte. UPDATE_GOLDEN=1 writes the file anew instead: read the
 * difference before committing it.
 */
export function assertGolden(name: string, actual: string): void {
  const file = path.join(GOLDEN, `${name}.txt`);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, actual);
  assert.fixture(actual, readFileSync(file, 'utf8'), `${name}: UPDATE_GOLDEN=1 writes it anew`);
}

/** One session as a golden file shows it; what differs from run to run is replaced by a name. */
export function transcript(
  line: string,
  { exit, stdout, stderr }: Outcome,
  runtimeDirectory = '/none',
): string {
  const errors = stderr === '' ? '' : `--- stderr\n${stderr}`;
  return `$ entropyctl ${line}\n${stdout}${errors}--- exit ${exit}\n\n`.replaceAll(
    runtimeDirectory,
    '<runtime-dir>',
  );
}
