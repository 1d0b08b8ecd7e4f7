import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const NATIVE_FOLDER = fileURLToPath(new URL('../../native/', import.meta.url));

const folders: string[] = [];
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Removed when the test process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'entropy-mixer-native-test-'));
  folders.push(folder);
  return folder;
}

/** Compiles one C program that may include the headers of native/; answers the path of the program. */
export function compileProgram(source: string, ...flags: readonly string[]): string {
  const folder = temporaryFolder();
  const file = join(folder, 'program.c');
  const program = join(folder, 'program');
  writeFileSync(file, source);
  const answer = spawnSync(
    'cc',
    [
      '-std=gnu11',
      '-D_GNU_SOURCE',
      '-O2',
      '-Wall',
      '-Wextra',
      '-Werror',
      `-I${NATIVE_FOLDER}`,
      ...flags,
      file,
      '-o',
      program,
    ],
    { encoding: 'utf8' },
  );
  if (answer.status !== 0) throw new Error(answer.stderr);
  return program;
}
