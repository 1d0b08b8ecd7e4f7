/** Byte moves for short lengths: an engine calls out for memory.copy and memory.fill, which costs more than 64 bytes do. */

const INLINE_LIMIT: u32 = 256;

export function copy(to: usize, from: usize, length: u32): void {
  if (length > INLINE_LIMIT) {
    memory.copy(to, from, length);
    return;
  }
  while (length >= 8) {
    store<u64>(to, load<u64>(from));
    to += 8;
    from += 8;
    length -= 8;
  }
  while (length != 0) {
    store<u8>(to, load<u8>(from));
    to++;
    from++;
    length--;
  }
}

/** Overwrites with zeros. Stores to linear memory are observable, so no optimiser may drop them. */
export function wipe(at: usize, length: u32): void {
  if (length > INLINE_LIMIT) {
    memory.fill(at, 0, length);
    return;
  }
  while (length >= 8) {
    store<u64>(at, 0);
    at += 8;
    length -= 8;
  }
  while (length != 0) {
    store<u8>(at, 0);
    at++;
    length--;
  }
}

/** True when both are the same; reads every byte, whatever the first difference. */
export function equal(a: usize, b: usize, length: u32): bool {
  let difference: u32 = 0;
  for (let i: u32 = 0; i < length; i++) difference |= load<u8>(a + i) ^ load<u8>(b + i);
  return difference == 0;
}

/** Reads every byte, whatever the first that is not zero. */
export function isZero(at: usize, length: u32): bool {
  let seen: u32 = 0;
  for (let i: u32 = 0; i < length; i++) seen |= load<u8>(at + i);
  return seen == 0;
}
