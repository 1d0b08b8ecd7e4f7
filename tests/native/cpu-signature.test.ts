import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasCompiler, testWhen } from '../requirements.ts';
import { compileProgram } from './compile.ts';

const HEADERS = fileURLToPath(new URL('../../node_modules/node-api-headers/include', import.meta.url));

/** Decodes signatures with native/cpu.c itself; what calls Node is unused here, and left out by the linker. */
const HARNESS = `
#include "cpu.c"
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **arguments) {
    struct cpu_identity cpu;
    if (count != 2) return 2;
    decode_signature(&cpu, strtoul(arguments[1], NULL, 16));
    printf("%x %x %x", cpu.family, cpu.model, cpu.stepping);
}
`;

const canRun = hasCompiler && process.arch === 'x64';
const program = canRun
  ? compileProgram(HARNESS, '-isystem', HEADERS, '-ffunction-sections', '-Wl,--gc-sections')
  : '';

const signatures: Record<string, string> = {
  '00a00f11': '19 1 1', // AMD Zen 3, Milan
  '00b40f40': '1a 44 0', // AMD Zen 5, Granite Ridge
  '00b00f21': '1a 2 1', // AMD Zen 5, Turin
  '00840f70': '17 47 0', // AMD 4700S
  '000806f8': '6 8f 8', // Intel Sapphire Rapids: extended model, no extended family
  '00000f29': 'f 2 9', // Intel Pentium 4
  '000f0543': '5 4 3', // neither: the extended fields do not count
};

for (const [signature, expected] of Object.entries(signatures)) {
  testWhen(canRun)(`CPUID signature ${signature} is family, model, stepping ${expected}`, () => {
    assert.is(spawnSync(program, [signature], { encoding: 'utf8' }).stdout, expected);
  });
}

test.run();
