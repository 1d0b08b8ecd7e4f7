import { fitInput, isDown, isLength, isLengthOrZero, refuse, took } from './guards';
import * as drbg from './hash-drbg';
import { INPUT, OUTPUT, SCRATCH, SCRATCH_DRBG } from './segments';
import { NOT_INSTANTIATED, OK, REFUSED_LENGTH, REFUSED_STATE, RESEED_REQUIRED } from './status';

const STATE: usize = SCRATCH + SCRATCH_DRBG;

export function scratchInstantiate(entropyLength: i32, nonceLength: i32, personalizationLength: i32): i32 {
  if (isDown()) return refuse(REFUSED_STATE);
  if (!fitInput(entropyLength, nonceLength, personalizationLength)) return refuse(REFUSED_LENGTH);
  const nonce = INPUT + entropyLength;
  const personal = nonce + nonceLength;
  drbg.instantiate(STATE, INPUT, entropyLength, nonce, nonceLength, personal, personalizationLength);
  return took(entropyLength + nonceLength + personalizationLength, OK);
}

export function scratchReseed(entropyLength: i32, additionalLength: i32): i32 {
  const refusal = refusalOf(fitInput(entropyLength, 0, additionalLength));
  if (refusal != OK) return refuse(refusal);
  drbg.reseed(STATE, INPUT, entropyLength, INPUT + entropyLength, additionalLength);
  return took(entropyLength + additionalLength, OK);
}

export function scratchGenerate(length: i32, additionalLength: i32): i32 {
  const refusal = refusalOf(isLength(length) && isLengthOrZero(additionalLength));
  if (refusal != OK) return refuse(refusal);
  if (drbg.isExhausted(STATE)) return refuse(RESEED_REQUIRED);
  drbg.generate(STATE, OUTPUT, length, INPUT, additionalLength);
  return took(additionalLength, OK);
}

function refusalOf(fits: bool): i32 {
  if (isDown()) return REFUSED_STATE;
  if (!fits) return REFUSED_LENGTH;
  return drbg.isInstantiated(STATE) ? OK : NOT_INSTANTIATED;
}
