import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';

/** True when the program is on PATH. */
export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

export const isRoot = process.getuid?.() === 0;
export const hasCompiler = hasProgram('cc');
export const hasAddon = existsSync(new URL('../build/native/addon.node', import.meta.url));
/** The CPU has RDSEED and the addon to read it with. */
export const hasRdseed = hasAddon && /\brdseed\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
/** Compiled when it was installed, if there was a compiler. */
export const hasPkcs11js = existsSync(
  new URL('../node_modules/pkcs11js/build/Release/pkcs11.node', import.meta.url),
);
export const hasKernelWriter = existsSync(new URL('../build/native/kernel-writer', import.meta.url));

/**
 * `test` when the condition holds, else a visible skip; the runner turns skips into failures where CI=true,
 * so that a check never disappears there unseen.
 */
export function testWhen(condition: boolean): (name: string, body: () => void | Promise<void>) => void {
  return (name, body) => (condition ? test(name, body) : test.skip(name, body));
}

/** The same for data that the project does not carry: such a skip is accepted everywhere, and says so to the runner. */
export function testWithData(present: boolean): ReturnType<typeof testWhen> {
  return (name, body) => {
    if (!present) console.log(`\n# may skip: ${name}`);
    testWhen(present)(name, body);
  };
}
