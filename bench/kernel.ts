/**
 * The ceiling of the kernel feed: RNDADDENTROPY through the kernel-writer, one request at a time as the feed makes them,
 * against a C loop of the ioctl alone. Credit asked is 0. Needs CAP_SYS_ADMIN.
 */
import { spawnSync } from 'node:child_process';
import { SystemClock } from '../src/base/clock.ts';
import type { Log } from '../src/base/log.ts';
import { KernelWriterClient } from '../src/hardware/kernel-writer-client.ts';
import { holdsSysAdmin, KERNEL_WRITER_PATH } from '../tests/hardware/parts.ts';
import { compileProgram } from '../tests/native/compile.ts';
import { hasCompiler, hasKernelWriter } from '../tests/requirements.ts';

const CALLS = 10_000;
const CHUNKS_BYTES = [64, 4096] as const;

const BARE_LOOP = `
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
int main(int count, char **arguments) {
    struct { int credit, bytes; unsigned char data[4096]; } chunk = {0};
    struct timespec from, to;
    if (count != 3) return 2;
    chunk.bytes = atoi(arguments[1]);
    int pool = open("/dev/random", O_RDWR);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long n = atol(arguments[2]); n > 0; n--) if (ioctl(pool, RNDADDENTROPY, &chunk) != 0) return 1;
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.9f", (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) * 1e-9);
}
`;

export async function benchKernel(): Promise<void> {
  if (!holdsSysAdmin || !hasKernelWriter) {
    console.log(`kernel: skipped: ${hasKernelWriter ? 'needs CAP_SYS_ADMIN' : 'kernel-writer is not built'}`);
    return;
  }
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: console.warn,
    error: console.error,
  };
  const client = KernelWriterClient.start({ path: KERNEL_WRITER_PATH }, { clock: new SystemClock(), log });
  const bareLoop = hasCompiler ? compileProgram(BARE_LOOP) : undefined;
  for (const bytes of CHUNKS_BYTES) {
    const perSecond = CALLS / (await secondsThrough(client, bytes));
    console.log(`kernel: RNDADDENTROPY of ${bytes} B through the kernel-writer: ${rates(perSecond, bytes)}`);
    if (bareLoop === undefined) continue;
    const bare =
      CALLS / Number(spawnSync(bareLoop, [String(bytes), String(CALLS)], { encoding: 'utf8' }).stdout);
    console.log(`kernel: RNDADDENTROPY of ${bytes} B, the ioctl alone: ${rates(bare, bytes)}`);
  }
  await client.close();
}

async function secondsThrough(client: KernelWriterClient, bytes: number): Promise<number> {
  const chunk = new Uint8Array(bytes);
  await client.query();
  const began = performance.now();
  for (let call = 0; call < CALLS; call++) {
    const { error } = await client.add(chunk, 0);
    if (error !== '') throw new Error(`RNDADDENTROPY answered ${error}`);
  }
  return (performance.now() - began) / 1000;
}

function rates(callsPerSecond: number, bytes: number): string {
  return `${Math.round(callsPerSecond)} calls/s, ${((callsPerSecond * bytes) / 1e6).toFixed(1)} MB/s`;
}
