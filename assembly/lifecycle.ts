import { enter, isDown, stateNow } from './guards';
import { forgetHash } from './hash-calls';
import { forgetSeeds } from './seeds';
import { wipeSecrets } from './segments';
import { SELF_TESTS, runSelfTest } from './self-test';
import { FAILED, OK, REFUSED_ARGUMENT, REFUSED_STATE, WIPED } from './status';

/** A failure that `fault` did not ask for wipes the module, and for good. */
export function selfTest(fault: i32): i32 {
  if (isDown()) return REFUSED_STATE;
  if (fault < 0 || fault > SELF_TESTS) return REFUSED_ARGUMENT;
  const failed = runSelfTest(fault);
  if (failed != fault) shut(FAILED);
  return failed;
}

export function wipe(): i32 {
  shut(stateNow() == FAILED ? FAILED : WIPED);
  return OK;
}

function shut(into: i32): void {
  wipeSecrets();
  forgetSeeds();
  forgetHash();
  enter(into);
}
