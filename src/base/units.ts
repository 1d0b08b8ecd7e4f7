/** Units used across the project, so that no number stands alone. */

export const KIB = 1024;

export const BITS_PER_BYTE = 8;

/**
 * Credit is counted in 1/1024 bit, so that the smallest policy rate (1 bit per 64 events, 8 bits per 2,048 bytes)
 * is a whole number and no rounding can ever raise a credit.
 */
export const CREDIT_UNITS_PER_BIT = 1024;

/** One conditioned block: the left half of a SHA-512 output, in bytes and bits. */
export const BLOCK_BYTES = 32;
export const BLOCK_BITS = 256;

/** SP 800-90C full entropy: a vetted conditioner needs n_out + 64 bits in (standards: h_in >= n_out + 64). */
export const FULL_ENTROPY_INPUT_BITS = 320;
export const FULL_ENTROPY_INPUT_UNITS = FULL_ENTROPY_INPUT_BITS * CREDIT_UNITS_PER_BIT;

export const MS_PER_SECOND = 1000;
