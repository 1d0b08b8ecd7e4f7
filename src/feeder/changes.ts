/** Lets several wait for a state that one object comes to: it tells when it has changed, and they look. */
export class Changes {
  readonly #looks = new Set<() => void>();

  /** Resolves once the condition holds; at once when it does already. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }

  tell(): void {
    for (const look of this.#looks) look();
  }
}
