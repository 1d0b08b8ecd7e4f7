import { wipe } from './bytes';
import { INPUT, INPUT_BYTES, SLOTS, SOURCES } from './segments';
import { FAILED, IDLE, READY, WIPED } from './status';

/** The module's state, and what every call asks and does before and after its work. */

let state: i32 = IDLE;

export function stateNow(): i32 {
  return state;
}

export function enter(next: i32): void {
  state = next;
}

export function isReady(): bool {
  return state == READY;
}

export function isDown(): bool {
  return state == WIPED || state == FAILED;
}

export function isSlot(slot: i32): bool {
  return slot >= 0 && slot < <i32>SLOTS;
}

export function isSource(source: i32): bool {
  return source >= 0 && source < <i32>SOURCES;
}

/** INPUT and OUTPUT are of one size. */
export function isLength(length: i32): bool {
  return length > 0 && length <= <i32>INPUT_BYTES;
}

export function isLengthOrZero(length: i32): bool {
  return length >= 0 && length <= <i32>INPUT_BYTES;
}

/** Three strings one after the other in INPUT, of which the first is not empty. */
export function fitInput(first: i32, second: i32, third: i32): bool {
  return (
    isLength(first) && isLengthOrZero(second) && isLengthOrZero(third) && isLength(first + second + third)
  );
}

/** Zeroes what was read of INPUT, and answers. */
export function took(length: i32, answer: i32): i32 {
  wipe(INPUT, length);
  return answer;
}

/** Zeroes whatever may stand in INPUT, and answers. */
export function refuse(status: i32): i32 {
  wipe(INPUT, INPUT_BYTES);
  return status;
}
