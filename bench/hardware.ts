/**
 * RDRAND and RDSEED through the addon, 64 KiB a call with every check it makes, against a C loop of nothing but the
 * instruction and its carry flag. Best of several alternating rounds, in CPU time, since other work on the host and, for
 * RDSEED, other guests of the CPU change the pace. Target: 0.9.
 */
import { spawnSync } from 'node:child_process';
import { FILL_LIMIT_BYTES, type FillResult } from '../src/hardware/hardware.ts';
import { openHardware } from '../src/hardware/open-hardware.ts';
import { ADDON_PATH } from '../tests/hardware/parts.ts';
import { compileProgram } from '../tests/native/compile.ts';

const ROUNDS = 9;
/** About 0.1 s a round at the paces seen: 320 and 8 MB/s. */
const FILLS_PER_ROUND = { rdrand: 512, rdseed: 12 } as const;

const BARE_LOOP = `
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t words[${FILL_LIMIT_BYTES / 8}];

#define FILL(instruction)                                                                     \\
    for (size_t i = 0; i < sizeof words / 8; i++) {                                           \\
        unsigned char carry;                                                                  \\
        do __asm__ volatile(instruction " %q0" : "=r"(words[i]), "=@ccc"(carry)); while (!carry); \\
    }

int main(int count, char **arguments) {
    struct timespec from, to;
    if (count != 3) return 2;
    int is_rdseed = strcmp(arguments[1], "rdseed") == 0;
    long fills = atol(arguments[2]);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (long n = 0; n < fills; n++) if (is_rdseed) { FILL("rdseed") } else { FILL("rdrand") }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    printf("%.9f", (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) * 1e-9);
}
`;

export function benchHardware(): void {
  const hardware = openHardware({ addonPath: ADDON_PATH });
  if (!hardware.addon || process.arch !== 'x64') {
    console.log(`hardware: skipped: ${hardware.absence || 'no RDRAND or RDSEED on this architecture'}`);
    return;
  }
  const bareLoop = compileProgram(BARE_LOOP);
  for (const name of ['rdrand', 'rdseed'] as const) {
    if (hardware.cpu[name]) compare(name, bareLoop, (target) => hardware[name](target));
    else console.log(`hardware: ${name} skipped: this CPU does not have it`);
  }
}

function compare(
  name: 'rdrand' | 'rdseed',
  bareLoop: string,
  fill: (target: Uint8Array) => FillResult,
): void {
  const target = new Uint8Array(FILL_LIMIT_BYTES);
  const fills = FILLS_PER_ROUND[name];
  const addonSeconds: number[] = [];
  const bareSeconds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.cpuUsage();
    for (let i = 0; i < fills; i++) {
      if (fill(target).bytes !== target.length) throw new Error(`${name} fell short`);
    }
    const { user, system } = process.cpuUsage(began);
    addonSeconds.push((user + system) / 1e6);
    bareSeconds.push(Number(spawnSync(bareLoop, [name, String(fills)], { encoding: 'utf8' }).stdout));
  }
  const megabytes = (fills * FILL_LIMIT_BYTES) / 1e6;
  const addon = megabytes / Math.min(...addonSeconds);
  const bare = megabytes / Math.min(...bareSeconds);
  console.log(
    `hardware: ${name} ${addon.toFixed(1)} MB/s through the addon, ${bare.toFixed(1)} MB/s bare: ratio ${(addon / bare).toFixed(2)} (target 0.90)`,
  );
}
