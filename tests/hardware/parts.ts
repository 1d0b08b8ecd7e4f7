import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { loadAddon, type Addon } from '../../src/hardware/addon.ts';
import type { Log } from '../../src/base/log.ts';

export const ADDON_PATH = fileURLToPath(new URL('../../build/native/addon.node', import.meta.url));
export const KERNEL_WRITER_PATH = fileURLToPath(new URL('../../build/native/kernel-writer', import.meta.url));

const CAP_SYS_ADMIN = 21n;

/** True when this process may use RNDADDENTROPY: root outside of containers, as a rule. */
export const holdsSysAdmin = (() => {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
})();

/** The loaded addon; for tests that are skipped without it. */
export function addon(): Addon {
  const load = loadAddon(ADDON_PATH);
  if (load.addon === undefined) throw new Error(load.absence);
  return load.addon;
}

/** The same functions without their types, for calls that break the rules. */
export function untypedAddon(): Record<string, (...values: unknown[]) => unknown> {
  const loaded: unknown = createRequire(import.meta.url)(ADDON_PATH);
  return loaded as Record<string, (...values: unknown[]) => unknown>;
}

/** Waits for what comes soon, but nobody knows when: events of the host. Fails after limitMs. */
export async function until(condition: () => boolean, what: string, limitMs = 15_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export class RecordingLog implements Log {
  readonly lines: string[] = [];
  debug(message: string): void {
    this.lines.push(message);
  }
  info(message: string): void {
    this.lines.push(message);
  }
  warn(message: string): void {
    this.lines.push(message);
  }
  error(message: string): void {
    this.lines.push(message);
  }
}
