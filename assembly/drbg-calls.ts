import { isDown, isLength, isLengthOrZero, isReady, refuse, took } from './guards';
import * as seeds from './seeds';
import { INPUT, OUTPUT } from './segments';
import { OK, REFUSED_LENGTH, REFUSED_STATE } from './status';

export function reserveSeed(): i32 {
  return isReady() ? seeds.reserve() : REFUSED_STATE;
}

export function instantiate(personalizationLength: i32): i32 {
  if (!isReady()) return refuse(REFUSED_STATE);
  if (!isLengthOrZero(personalizationLength)) return refuse(REFUSED_LENGTH);
  return took(personalizationLength, seeds.instantiate(INPUT, personalizationLength));
}

export function reseed(additionalLength: i32): i32 {
  if (!isReady()) return refuse(REFUSED_STATE);
  if (!isLengthOrZero(additionalLength)) return refuse(REFUSED_LENGTH);
  return took(additionalLength, seeds.reseed(INPUT, additionalLength));
}

/** RESEED_REQUIRED, and not one byte, unless all seeds that it takes are there. */
export function generate(length: i32, additionalLength: i32): i32 {
  if (!isReady()) return refuse(REFUSED_STATE);
  if (!isLength(length) || !isLengthOrZero(additionalLength)) return refuse(REFUSED_LENGTH);
  return took(additionalLength, seeds.generate(OUTPUT, length, INPUT, additionalLength));
}

export function uninstantiate(): i32 {
  if (isDown()) return REFUSED_STATE;
  seeds.uninstantiate();
  return OK;
}
