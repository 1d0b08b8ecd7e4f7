import { compressScalar } from './sha512-compress-scalar';
import { compressSimd } from './sha512-compress-simd';

/** The SHA-512 compression function over `blocks` blocks of 128 bytes: state (8 u64) is read and replaced. */
export function compress(state: usize, from: usize, blocks: u32): void {
  if (ASC_FEATURE_SIMD) compressSimd(state, from, blocks);
  else compressScalar(state, from, blocks);
}
