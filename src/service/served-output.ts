/** Random bytes for readers outside the daemon. It asks gate and budget itself, so that no interface can forget to. */
export interface ServedOutput {
  /**
   * DRBG output, 1 to 65,536 bytes, the caller's to wipe. `fresh`: made only from entropy that arrived after the call.
   *
   * @throws EntropyError gate-closed, served-budget-spent, served-reserve-kept, fresh-entropy-unavailable, engine-busy, engine-stopped
   */
  serve(lengthBytes: number, options: { readonly fresh: boolean }): Promise<Uint8Array>;
  /** Mixes bytes in without credit; 1 to 65,536, the caller's to wipe afterwards. */
  absorb(bytes: Uint8Array): Promise<void>;
  /** Bits that could be served now. */
  availableBits(): Promise<number>;
}
