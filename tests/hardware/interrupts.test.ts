import { Worker } from 'node:worker_threads';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { INTERRUPT_COLLECTOR_DEFAULTS, type InterruptCollector } from '../../src/hardware/hardware.ts';
import { openHardware } from '../../src/hardware/open-hardware.ts';
import { count } from '../counts.ts';
import { hasAddon, testWhen } from '../requirements.ts';
import { ADDON_PATH, until } from './parts.ts';

const built = testWhen(hasAddon);

/** Looks all the time and counts every small gap, so that tests need not wait for events. */
const EAGER = { dutyPermille: 1000, burstMicroseconds: 10_000, gapCycles: 100, symbolShift: 2, capacity: 64 };

function collector(): InterruptCollector {
  const { interrupts } = openHardware({ addonPath: ADDON_PATH });
  if (interrupts === undefined) throw new Error('no collector');
  return interrupts;
}

function threads(): number {
  return readdirSync('/proc/self/task').length;
}

built('collects at its defaults on this host', async () => {
  const interrupts = collector();
  interrupts.start(INTERRUPT_COLLECTOR_DEFAULTS);
  await until(() => interrupts.status().events >= 50, '50 events at 5 % of a core');
  const target = new Uint8Array(4096);
  const taken = interrupts.take(target);
  assert.ok(taken >= 50);
  assert.ok(new Set(target.subarray(0, taken)).size > 10, 'symbols vary');
  assert.ok(
    target.subarray(taken).every((byte) => byte === 0),
    'no more than taken is written',
  );
  interrupts.stop();
});

built('a full ring stops the collecting; taking starts it again', async () => {
  const interrupts = collector();
  interrupts.start({ ...EAGER, capacity: 64 });
  await until(() => interrupts.status().dropped > 0 || interrupts.status().events >= 64, 'a full ring');
  const { events, dropped } = await settled(interrupts);
  assert.is(events - dropped, 64);
  assert.is(interrupts.take(new Uint8Array(10)), 10);
  await until(() => interrupts.status().events > events, 'collecting goes on');
  await until(() => interrupts.status().events - interrupts.status().dropped === 74, 'full again');
  assert.is(interrupts.take(new Uint8Array(1000)), 64, 'the ring holds its capacity and wraps around');
  interrupts.stop();
});

/** The status once it stays the same over a hundred looks, some of them a timer tick apart. */
async function settled(interrupts: InterruptCollector) {
  for (let before = interrupts.status(), same = 0; ; before = interrupts.status()) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    same = interrupts.status().events === before.events ? same + 1 : 0;
    if (same === 100) return before;
  }
}

built('stopping ends the thread, forgets the symbols and keeps the figures', async () => {
  const before = threads();
  const interrupts = collector();
  interrupts.start(EAGER);
  assert.is(threads(), before + 1);
  assert.is(interrupts.status().running, true);
  await until(() => interrupts.status().events > 0, 'an event');
  interrupts.stop();
  assert.is(threads(), before);
  const { running, events, lastError } = interrupts.status();
  assert.is(running, false);
  assert.is(lastError, 0);
  assert.ok(events > 0);
  assert.is(interrupts.take(new Uint8Array(64)), 0);
  interrupts.stop();
});

built('100 starts and stops leave no thread behind', () => {
  const interrupts = collector();
  const before = threads();
  for (let i = 0; i < count(100, 5_000); i++) {
    interrupts.start(EAGER);
    interrupts.stop();
  }
  assert.is(threads(), before);
});

built('a stop does not wait for the rest between bursts, 10 s each here', async () => {
  const interrupts = collector();
  for (let i = 0; i < count(20, 200); i++) {
    interrupts.start({ ...EAGER, dutyPermille: 1 });
    // Events show at the end of a burst, so the thread is at rest now.
    await until(() => interrupts.status().events > 0, 'the first burst');
    interrupts.stop();
  }
});

built('a second start is refused and changes nothing', () => {
  const interrupts = collector();
  interrupts.start(EAGER);
  assert.throws(() => interrupts.start(EAGER), /interruptsStart/);
  assert.is(interrupts.status().running, true);
  interrupts.stop();
});

built('options are held to their bounds', () => {
  const interrupts = collector();
  const bounds = {
    dutyPermille: [1, 1000],
    burstMicroseconds: [10, 10_000],
    gapCycles: [100, 1_000_000],
    symbolShift: [0, 24],
    capacity: [64, 1_048_576],
  };
  for (const [name, [least = 0, most = 0]] of Object.entries(bounds)) {
    for (const value of [least, most]) {
      interrupts.start({ ...EAGER, [name]: value });
      interrupts.stop();
    }
    for (const value of [least - 1, most + 1, least + 0.5]) {
      assert.throws(
        () => interrupts.start({ ...EAGER, [name]: value }),
        (error: unknown) => error instanceof RangeError,
        name,
      );
    }
  }
  assert.is(interrupts.status().running, false);
});

built('the thread takes no signal', () => {
  const before = new Set(readdirSync('/proc/self/task'));
  const interrupts = collector();
  interrupts.start(EAGER);
  const [thread = ''] = readdirSync('/proc/self/task').filter((id) => !before.has(id));
  const blocked =
    /^SigBlk:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/self/task/${thread}/status`, 'utf8'))?.[1] ?? '';
  interrupts.stop();
  // Signals 1 to 31 but SIGKILL (9) and SIGSTOP (19), which nobody can block.
  assert.is(BigInt(`0x${blocked}`) & 0x7fffffffn, 0x7fffffffn & ~(1n << 8n) & ~(1n << 18n));
});

built('a worker that is terminated while it collects takes its thread with it', async () => {
  const before = threads();
  for (let i = 0; i < count(5, 100); i++) {
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const addon = require(workerData.path);
       addon.interruptsStart(workerData.options);
       addon.ueventOpen();
       parentPort.postMessage('started');
       setInterval(() => {}, 1000);`,
      { eval: true, workerData: { path: ADDON_PATH, options: { ...EAGER, dutyPermille: 500 } } },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
  assert.ok(threads() <= before);
});

built('each JavaScript thread has a collector of its own', async () => {
  const interrupts = collector();
  interrupts.start(EAGER);
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     parentPort.postMessage(require(workerData).interruptsStatus().running);`,
    { eval: true, workerData: ADDON_PATH },
  );
  const runsThere = await new Promise((resolve) => worker.once('message', resolve));
  await new Promise((resolve) => worker.once('exit', resolve));
  assert.is(runsThere, false);
  assert.is(interrupts.status().running, true, 'the end of the worker stops only its own');
  interrupts.stop();
});

test.run();
