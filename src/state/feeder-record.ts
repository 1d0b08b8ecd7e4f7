import { EntropyError } from '../base/errors.ts';
import { FEEDER_CLASSES, FEEDER_NAME_PATTERN, type FeederClass } from '../base/names.ts';
import { BITS_PER_BYTE, CREDIT_UNITS_PER_BIT } from '../base/units.ts';
import {
  BYTES_PER_SECOND,
  CERTIFICATE,
  FEEDER_STATES,
  WEIGHT,
  type FeederState,
} from '../contract/feeders.ts';

/** What is written down of a feeder, and the rules by which its bytes are worth something. */

/** What the operator vouches for. */
export interface FeederTerms {
  readonly class: FeederClass;
  /** Credit per byte, in 1/1024 bit: 0 to 8,192. */
  readonly rateUnits: number;
  /** What a full-entropy source is certified by; empty for none, else 1 to 200 printable characters. */
  readonly certificate: string;
  /** Undefined: the default of the host. */
  readonly maximumBytesPerSecond: number | undefined;
  /** Its share of room that several feeders want: 1 to 100. */
  readonly weight: number;
}

export interface FeederRecord extends FeederTerms {
  /** 1 to 2^32 - 1; given once, and never to another. It stands in the caches beside the feeder's bytes. */
  readonly id: number;
  /** Health-test slot at the door, 0 to 1,023; free again when the feeder is revoked. */
  readonly door: number;
  readonly name: string;
  readonly state: FeederState;
  readonly createdMs: number;
}

export const MAXIMUM_FEEDERS = 1024;
/** One below what fits: that number is the install seed's (cache/origin.ts). */
export const MAXIMUM_FEEDER_ID = 0xffff_fffe;

const PRINTABLE = new RegExp(CERTIFICATE.pattern, 'u');
const MAXIMUM_RATE_UNITS = BITS_PER_BYTE * CREDIT_UNITS_PER_BIT;
/** 256 bits for 8,192 bytes: what a generator of that security strength is worth however much it gives. */
const MAXIMUM_DRBG_RATE_UNITS = CREDIT_UNITS_PER_BIT / 32;

/** The most that a byte of each class is worth, in 1/1024 bit. */
const MAXIMUM_UNITS: Readonly<Record<FeederClass, number>> = {
  'full-entropy': MAXIMUM_RATE_UNITS,
  noise: MAXIMUM_RATE_UNITS,
  drbg: MAXIMUM_DRBG_RATE_UNITS,
  public: 0,
  'host-derived': 0,
};

export function isFeederName(name: string): boolean {
  return FEEDER_NAME_PATTERN.test(name);
}

/** Throws `request-invalid` for a name that is none. */
export function assertFeederName(name: string): void {
  if (!isFeederName(name)) {
    throw new EntropyError('request-invalid', 'a feeder name has 1 to 32 characters a-z 0-9 . _ -');
  }
}

/** Throws `feeder-class-refused` unless class, rate and certificate fit together; `request-invalid` for a bound. */
export function assertTerms(terms: FeederTerms): void {
  const refuse = (detail: string): never => {
    throw new EntropyError('feeder-class-refused', detail);
  };
  const maximum = MAXIMUM_UNITS[terms.class];
  const minimum = maximum === 0 ? 0 : 1;
  if (!isInteger(terms.rateUnits, minimum, maximum)) {
    refuse(
      maximum === 0
        ? `class ${terms.class} is worth nothing: its rate is 0`
        : `class ${terms.class} takes more than 0 and at most ${maximum / CREDIT_UNITS_PER_BIT} bits per byte`,
    );
  }
  if (terms.class === 'full-entropy' && terms.certificate === '')
    refuse('class full-entropy names the certificate that it rests on');
  if (terms.certificate.length > CERTIFICATE.maxLength || !PRINTABLE.test(terms.certificate))
    refuse('a certificate is named by at most 200 printable characters');
  assertBounds(terms);
}

function assertBounds({ maximumBytesPerSecond, weight }: FeederTerms): void {
  const { minimum, maximum } = BYTES_PER_SECOND;
  if (maximumBytesPerSecond !== undefined && !isInteger(maximumBytesPerSecond, minimum, maximum))
    throw new EntropyError('request-invalid', `a feeder sends ${minimum} to ${maximum} bytes per second`);
  if (!isInteger(weight, WEIGHT.minimum, WEIGHT.maximum))
    throw new EntropyError('request-invalid', `a weight is ${WEIGHT.minimum} to ${WEIGHT.maximum}`);
}

/** A record as it stands in JSON, or undefined when it does not fit its schema. */
export function recordFrom(value: unknown): FeederRecord | undefined {
  if (!isObject(value)) return undefined;
  const { id, door, name, state, createdMs } = value;
  const { class: feederClass, rateUnits, certificate, maximumBytesPerSecond, weight } = value;
  if (
    !isInteger(id, 1, MAXIMUM_FEEDER_ID) ||
    !isInteger(door, 0, MAXIMUM_FEEDERS - 1) ||
    !isInteger(createdMs, 0, Number.MAX_SAFE_INTEGER) ||
    !isInteger(rateUnits, 0, MAXIMUM_RATE_UNITS) ||
    !isInteger(weight, WEIGHT.minimum, WEIGHT.maximum) ||
    !(maximumBytesPerSecond === undefined || typeof maximumBytesPerSecond === 'number') ||
    typeof name !== 'string' ||
    !isFeederName(name) ||
    typeof certificate !== 'string' ||
    !isOneOf(FEEDER_STATES, state) ||
    !isOneOf(FEEDER_CLASSES, feederClass)
  ) {
    return undefined;
  }
  const terms = { class: feederClass, rateUnits, certificate, maximumBytesPerSecond, weight };
  try {
    assertTerms(terms);
  } catch {
    return undefined;
  }
  return { id, door, name, ...terms, state, createdMs };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isInteger(value: unknown, minimum: number, maximum: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum;
}

function isOneOf<T extends string>(list: readonly T[], value: unknown): value is T {
  return list.some((one) => one === value);
}
