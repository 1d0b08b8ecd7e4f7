import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Looks for bytes in all memory that another process can write, as root alone may. The process goes on meanwhile. */
export function occurrencesIn(pid: number, wanted: ReadonlyMap<string, Buffer>): Map<string, number> {
  const found = new Map([...wanted.keys()].map((name) => [name, 0]));
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      searchRange(memory, Number.parseInt(from, 16), Number.parseInt(to, 16), wanted, found);
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

const CHUNK_BYTES = 4 << 20;
/** What is read twice, so that nothing is missed where two chunks meet. */
const OVERLAP_BYTES = 4096;

function searchRange(
  memory: number,
  from: number,
  to: number,
  wanted: ReadonlyMap<string, Buffer>,
  found: Map<string, number>,
): void {
  const chunk = Buffer.alloc(CHUNK_BYTES + OVERLAP_BYTES);
  for (let at = from; at < to; at += CHUNK_BYTES) {
    const length = read(memory, chunk, at, Math.min(chunk.length, to - at));
    const bytes = chunk.subarray(0, length);
    for (const [name, secret] of wanted) {
      let index = bytes.indexOf(secret);
      while (index >= 0 && index < CHUNK_BYTES) {
        found.set(name, (found.get(name) ?? 0) + 1);
        index = bytes.indexOf(secret, index + 1);
      }
    }
  }
}

/** Pages that were never touched, or are the kernel's, read as nothing. */
function read(memory: number, chunk: Buffer, at: number, length: number): number {
  try {
    return readSync(memory, chunk, 0, length, at);
  } catch {
    return 0;
  }
}
