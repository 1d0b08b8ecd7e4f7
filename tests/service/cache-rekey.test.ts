import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EntropyError } from '../../src/base/errors.ts';
import { EventBus } from '../../src/base/events.ts';
import { CacheRekey } from '../../src/service/cache-rekey.ts';
import { cacheGeneration, COUNTER_ID_BYTES } from '../../src/state/cache-key-ring.ts';
import { NoneWrapping, type KeyWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';

const HOUR_MS = 3_600_000;
const random = seededSource('rekey');

/** A daemon's parts around a change, with a counter that wears and can fail. */
async function host(mode: 'NONE' | 'TPM' = 'TPM') {
  const none = new NoneWrapping({ random });
  const sealed: KeyWrapping = {
    mode: 'TPM',
    wrap: (key) => none.wrap(key),
    unwrap: (info) => none.unwrap(info),
  };
  const files = new SimulatedFiles();
  const archive = await StateArchive.open({ mode }, { files, random, wrappings: [none, sealed] });
  const clock = new FakeClock();
  const bus = new EventBus({ capacity: 100 }, { clock, counters: new Counters() });
  const state = { value: 41, fails: false, spent: 0, rewrapped: 0 };
  const failing = (): void => {
    if (state.fails) throw new EntropyError('tpm-timeout', 'it does not answer');
  };
  const rekey = new CacheRekey({
    archive,
    random,
    clock,
    bus,
    counter: {
      read: async () => {
        await Promise.resolve();
        failing();
        return { id: Buffer.alloc(COUNTER_ID_BYTES, 1), value: state.value };
      },
      advanceTo: async (value) => {
        await Promise.resolve();
        failing();
        state.value = value;
      },
    },
    rewrap: async () => {
      await Promise.resolve();
      state.rewrapped++;
    },
    spentSegments: () => Promise.resolve(state.spent),
  });
  const passed = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await settled();
  };
  const told = (): string[] => bus.since(0).records.map(({ id }) => id);
  return { archive, bus, rekey, state, passed, told };
}

/** All that waits for promises and streams has run: nothing here waits for time, a disk or a TPM. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test('at start, and then each hour in which something was spent', async () => {
  const { archive, rekey, state, passed } = await host();
  assert.is(cacheGeneration({ archive }), 0);
  rekey.start();
  await settled();
  assert.equal([state.value, cacheGeneration({ archive })], [42, 42]);
  await passed(HOUR_MS);
  assert.is(state.value, 42, 'nothing was spent');
  state.spent = 1;
  await passed(HOUR_MS - 1);
  assert.is(state.value, 42);
  await passed(1);
  assert.equal([state.value, cacheGeneration({ archive })], [43, 43]);
  await rekey.close();
  await passed(2 * HOUR_MS);
  assert.is(state.value, 43);
});

test('a TPM that fails is told, and tried again after ten minutes, whether anything was spent or not', async () => {
  const { rekey, state, passed, told } = await host();
  state.fails = true;
  rekey.start();
  await settled();
  assert.equal([told(), state.rewrapped], [['cache.key.change.failed'], 0]);
  assert.equal(rekey.report(), {
    keyGeneration: null,
    keyChangedMs: null,
    keyFailure: 'tpm-timeout: it does not answer',
  });
  state.fails = false;
  await passed(599_999);
  assert.is(state.value, 41);
  await passed(1);
  assert.equal([told(), state.value], [['cache.key.change.failed', 'cache.key.changed'], 42]);
  const { keyGeneration, keyFailure } = rekey.report();
  assert.equal([keyGeneration, keyFailure], [42, '']);
  await rekey.close();
});

test('with the keys of the archive those of the caches change too', async () => {
  const { bus, rekey, state } = await host();
  bus.emit('recovery.key.rotated', {});
  bus.emit('configenc.tpm.enable', {});
  bus.emit('configenc.tpm.reseal', {});
  await settled();
  assert.is(state.value, 43);
  await rekey.close();
});

test('in mode NONE nothing changes, and no TPM is asked', async () => {
  const { archive, rekey, state, told } = await host('NONE');
  state.fails = true;
  rekey.start();
  await settled();
  assert.equal([told(), cacheGeneration({ archive }), state.rewrapped], [[], 0, 0]);
  await rekey.close();
});

test('a stop waits for a change under way', async () => {
  const { archive, rekey } = await host();
  rekey.start();
  await Promise.resolve();
  await rekey.close();
  assert.is(cacheGeneration({ archive }), 42);
});

test.run();
