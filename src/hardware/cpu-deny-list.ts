import type { CpuReport } from './hardware.ts';

export interface InstructionVerdict {
  readonly usable: boolean;
  /** Why not; empty when usable. */
  readonly reason: string;
}

export interface CpuRandomVerdict {
  readonly rdrand: InstructionVerdict;
  readonly rdseed: InstructionVerdict;
}

type Instruction = 'rdrand' | 'rdseed';

/** A CPU known to answer wrongly with the carry flag set. An absent field matches every value. */
export interface DeniedCpu {
  readonly instructions: readonly Instruction[];
  readonly vendor: string;
  readonly family: number;
  readonly models?: readonly number[];
  readonly stepping?: number;
  /** Trusted again from this microcode revision on. */
  readonly fixedInMicrocode?: number;
  readonly why: string;
}

const AMD = 'AuthenticAMD';
const BOTH: readonly Instruction[] = ['rdrand', 'rdseed'];
const SB_7055 = 'AMD-SB-7055 (CVE-2025-62626): RDSEED answers 0 as success more often than chance';

function zen5(model: number, stepping: number, fixedInMicrocode: number): DeniedCpu {
  return {
    instructions: ['rdseed'],
    vendor: AMD,
    family: 0x1a,
    models: [model],
    stepping,
    fixedInMicrocode,
    why: SB_7055,
  };
}

/**
 * Only the 64-bit forms are used here, which AMD-SB-7055 does not touch; the kernel disables RDSEED on these parts
 * all the same, and so do we. The launch microcode of Zen 2 (all ones from RDRAND) has no public revision to test
 * for: native/fill-words.h catches what it answers.
 */
export const DENIED_CPUS: readonly DeniedCpu[] = [
  zen5(0x02, 1, 0x0b00215a),
  zen5(0x08, 1, 0x0b008121),
  zen5(0x11, 0, 0x0b101054),
  zen5(0x24, 0, 0x0b204037),
  zen5(0x44, 0, 0x0b404035),
  zen5(0x44, 1, 0x0b404108),
  zen5(0x60, 0, 0x0b600037),
  zen5(0x68, 0, 0x0b608038),
  zen5(0x70, 0, 0x0b700037),
  {
    instructions: ['rdseed'],
    vendor: AMD,
    family: 0x17,
    models: [0x47],
    stepping: 0,
    why: 'RDSEED is not reliable on this part; the kernel disables it too',
  },
  {
    instructions: BOTH,
    vendor: AMD,
    family: 0x15,
    why: 'RDRAND may answer a constant after suspend and resume',
  },
  {
    instructions: BOTH,
    vendor: AMD,
    family: 0x16,
    why: 'RDRAND may answer a constant after suspend and resume',
  },
];

/** May its RDRAND and RDSEED be used? CPUID, the kernel's flags and the list must all agree. */
export function cpuRandomVerdict(cpu: CpuReport): CpuRandomVerdict {
  return {
    rdrand: verdictOn('rdrand', cpu.rdrand, cpu.flagsRdrand, cpu),
    rdseed: verdictOn('rdseed', cpu.rdseed, cpu.flagsRdseed, cpu),
  };
}

function verdictOn(
  instruction: Instruction,
  hasIt: boolean,
  flagged: boolean,
  cpu: CpuReport,
): InstructionVerdict {
  const name = instruction.toUpperCase();
  if (!hasIt) return refused(`this CPU does not offer ${name} here`);
  if (!flagged)
    return refused(
      `the kernel does not list ${instruction} in /proc/cpuinfo: it disabled it, or the file is missing`,
    );
  const denied = DENIED_CPUS.find((entry) => entry.instructions.includes(instruction) && matches(entry, cpu));
  return denied === undefined ? { usable: true, reason: '' } : refused(denied.why);
}

/** An unknown microcode is 0, older than every fix: denied. */
function matches(entry: DeniedCpu, cpu: CpuReport): boolean {
  return (
    entry.vendor === cpu.vendor &&
    entry.family === cpu.family &&
    (entry.models?.includes(cpu.model) ?? true) &&
    (entry.stepping === undefined || entry.stepping === cpu.stepping) &&
    (entry.fixedInMicrocode === undefined || cpu.microcode < entry.fixedInMicrocode)
  );
}

function refused(reason: string): InstructionVerdict {
  return { usable: false, reason };
}
