/** Served output leaves this share of the most that was cached to the kernel. */
const RESERVE_SHARE = 0.2;

/**
 * The part of the cached credit that serving never touches: a fifth of the most that was cached since the caches were last empty, in
 * 1/1024 bit. A peak and not the present fill, or a patient reader would take a fifth less of ever less.
 */
export class ServingReserve {
  #peakUnits = 0;

  /** What is cached now. */
  observe(cachedUnits: number): void {
    this.#peakUnits = cachedUnits === 0 ? 0 : Math.max(this.#peakUnits, cachedUnits);
  }

  /** The caches themselves changed (another size, a revoked feeder): the peak of before says nothing of them. */
  rebase(cachedUnits: number): void {
    this.#peakUnits = cachedUnits;
  }

  get reserveUnits(): number {
    return Math.ceil(this.#peakUnits * RESERVE_SHARE);
  }

  /** What serving may take of the credit that is cached. */
  servableUnits(cachedUnits: number): number {
    return Math.max(0, cachedUnits - this.reserveUnits);
  }
}
