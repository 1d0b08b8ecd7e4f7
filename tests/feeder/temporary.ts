import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A directory for one test file, removed when its process ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'entropy-feed-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A file that its owner alone may read, unless another mode is given. */
export function writtenFile(file: string, content: string | Uint8Array, mode = 0o600): string {
  writeFileSync(file, content, { mode });
  return file;
}
