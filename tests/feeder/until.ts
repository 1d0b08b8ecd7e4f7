/** Far more than anything here takes, on a machine that is busy with other things too. */
const PATIENCE_MS = 20_000;

/** Waits for what comes soon, but nobody knows when: sockets, child processes. Names the condition that was never met. */
export async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`never: ${condition.toString()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
