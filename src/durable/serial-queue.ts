/** Runs pieces of asynchronous work one after the other, in the order they came; one that fails stops no other. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when everything that was handed in so far has settled. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
