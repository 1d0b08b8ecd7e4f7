import { SOURCE_BITS, SOURCE_NAMES, type SourceName } from '../base/names.ts';

/** Highest value of `entropySources`: all four bits. */
export const MASK_MAXIMUM = 15;

const HARDWARE_BITS = SOURCE_BITS.rdrand | SOURCE_BITS.rdseed;

export interface MaskInputs {
  /** `entropySources` as configured, 0 to 15. */
  readonly configured: number;
  readonly disableHwrng: boolean;
  /** RDSEED is there and not deny-listed on this CPU. */
  readonly rdseedUsable: boolean;
}

/**
 * The mask in force from start to stop.
 *
 * 0 means the default: RDSEED alone where it can be used (ESXi's FIPS default), else all but external. `disableHwrng` overrides:
 * it makes RDSEED unusable before the default is chosen, and removes bits 2 and 4 from whatever was chosen. The result may
 * be 0: then no source is left, and the gate stays closed with that reason rather than falling back to something not asked for.
 */
export function resolveMask({ configured, disableHwrng, rdseedUsable }: MaskInputs): number {
  if (!Number.isInteger(configured) || configured < 0 || configured > MASK_MAXIMUM) {
    throw new RangeError(`source mask ${configured} is not a whole number from 0 to ${MASK_MAXIMUM}`);
  }
  const chosen = configured === 0 ? defaultMask(rdseedUsable && !disableHwrng) : configured;
  return disableHwrng ? chosen & ~HARDWARE_BITS : chosen;
}

function defaultMask(rdseedUsable: boolean): number {
  return rdseedUsable ? SOURCE_BITS.rdseed : SOURCE_BITS.interrupts | SOURCE_BITS.rdrand;
}

/** The sources whose bit is set, in order of their bits. */
export function sourcesIn(mask: number): SourceName[] {
  return SOURCE_NAMES.filter((name) => isInMask(mask, name));
}

export function isInMask(mask: number, name: SourceName): boolean {
  return (mask & SOURCE_BITS[name]) !== 0;
}
