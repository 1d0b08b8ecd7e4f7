import { readFileSync } from 'node:fs';

/** What /proc/cpuinfo adds to CPUID: the kernel's own judgement. x86 only; elsewhere nothing is found. */
export interface CpuInfo {
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** The lowest revision of all CPUs: a mixed set is as good as its worst member. */
  readonly microcode: number;
  /** Flags that every CPU lists. */
  readonly flags: ReadonlySet<string>;
}

/** Several hundred CPUs at 2 KiB each; what lies beyond is not looked at, and every CPU looked at must agree. */
const TEXT_LIMIT = 4 * 1024 * 1024;

export function readCpuInfo(path: string): CpuInfo {
  try {
    return parseCpuInfo(readFileSync(path, 'latin1'));
  } catch {
    return parseCpuInfo('');
  }
}

export function parseCpuInfo(text: string): CpuInfo {
  const cpus = text
    .slice(0, TEXT_LIMIT)
    .split('\n\n')
    .map(fieldsOf)
    .filter((fields) => fields.has('processor'));
  const [first = new Map<string, string>()] = cpus;
  const flags = cpus.map((fields) => new Set((fields.get('flags') ?? '').split(' ').filter(Boolean)));
  const [firstFlags = new Set<string>()] = flags;
  return {
    vendor: first.get('vendor_id') ?? '',
    family: integer(first.get('cpu family')),
    model: integer(first.get('model')),
    stepping: integer(first.get('stepping')),
    microcode: cpus.length === 0 ? 0 : Math.min(...cpus.map((fields) => integer(fields.get('microcode')))),
    flags: new Set([...firstFlags].filter((flag) => flags.every((ofOne) => ofOne.has(flag)))),
  };
}

function fieldsOf(block: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return fields;
}

/** Decimal or 0x-hexadecimal; 0 when absent or neither. */
function integer(text = ''): number {
  return /^(\d{1,15}|0x[0-9a-f]{1,13})$/i.test(text) ? Number(text) : 0;
}
