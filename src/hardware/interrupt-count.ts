import { closeSync, openSync, readSync } from 'node:fs';

/** 1,024 CPUs times a few hundred lines of 11 bytes a column; a longer file is refused rather than counted in part. */
const TEXT_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * Interrupts handled since boot: the sum of all per-CPU columns of /proc/interrupts. The heading names the CPUs, so it
 * tells how many columns count; ERR and MIS, which stand alone on their lines, are counted likewise. Monotone but for
 * wrap-around of a column (32 bits) and CPUs taken offline, so a difference below 0 means: unknown.
 * @throws RangeError when the text has no heading.
 */
export function interruptCount(text: string): number {
  const [heading = '', ...lines] = text.split('\n');
  const cpus = heading.match(/\bCPU\d+/g)?.length ?? 0;
  if (cpus === 0) throw new RangeError('not /proc/interrupts: no CPU in its first line');
  return lines.reduce((total, line) => total + lineCount(line, cpus), 0);
}

function lineCount(line: string, cpus: number): number {
  const colon = line.indexOf(':');
  if (colon < 0) return 0;
  const columns = line
    .slice(colon + 1)
    .trim()
    .split(/\s+/, cpus);
  let total = 0;
  for (const column of columns) {
    // The first word that is no number begins the description.
    if (!/^\d{1,15}$/.test(column)) break;
    total += Number(column);
  }
  return total;
}

/** Reads the count now; undefined where the file is missing, unreadable or not understood. */
export function readInterruptCount(path = '/proc/interrupts'): number | undefined {
  try {
    return interruptCount(readBounded(path));
  } catch {
    return undefined;
  }
}

/** Reads until end of file: a file of /proc has no size to ask for. */
function readBounded(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    for (let total = 0; ;) {
      const chunk = Buffer.alloc(65_536);
      const got = readSync(fd, chunk);
      if (got === 0) return Buffer.concat(chunks).toString('latin1');
      total += got;
      if (total > TEXT_LIMIT_BYTES) throw new RangeError(`${path} is too long`);
      chunks.push(chunk.subarray(0, got));
    }
  } finally {
    closeSync(fd);
  }
}
