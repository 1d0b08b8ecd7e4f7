import { isDown, isLengthOrZero, refuse, took } from './guards';
import { HASH, INPUT, OUTPUT } from './segments';
import * as sha512 from './sha512';
import { OK, REFUSED_LENGTH, REFUSED_STATE } from './status';

let hashing: bool = false;

/** Also drops a hash that was not finished. */
export function hashStart(): i32 {
  if (isDown()) return REFUSED_STATE;
  sha512.hashStart(HASH);
  hashing = true;
  return OK;
}

export function hashUpdate(length: i32): i32 {
  if (!hashing) return refuse(REFUSED_STATE);
  if (!isLengthOrZero(length)) return refuse(REFUSED_LENGTH);
  sha512.hashUpdate(HASH, INPUT, length);
  return took(length, OK);
}

export function hashFinish(): i32 {
  if (!hashing) return REFUSED_STATE;
  sha512.hashFinish(HASH, OUTPUT);
  hashing = false;
  return OK;
}

/** For when its context was wiped. */
export function forgetHash(): void {
  hashing = false;
}
