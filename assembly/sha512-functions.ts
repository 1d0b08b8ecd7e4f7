/** Functions of FIPS 180-4 section 4.1.3; choose in the form with fewest operations. */

export function choose(e: u64, f: u64, g: u64): u64 {
  return g ^ (e & (f ^ g));
}

export function bigSigma0(a: u64): u64 {
  return rotr<u64>(a, 28) ^ rotr<u64>(a, 34) ^ rotr<u64>(a, 39);
}

export function bigSigma1(e: u64): u64 {
  return rotr<u64>(e, 14) ^ rotr<u64>(e, 18) ^ rotr<u64>(e, 41);
}

export function smallSigma0(w: u64): u64 {
  return rotr<u64>(w, 1) ^ rotr<u64>(w, 8) ^ (w >> 7);
}

export function smallSigma1(w: u64): u64 {
  return rotr<u64>(w, 19) ^ rotr<u64>(w, 61) ^ (w >> 6);
}
