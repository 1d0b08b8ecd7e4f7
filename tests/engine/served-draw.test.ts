import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { isEntropyError, type ErrorCode } from '../../src/base/errors.ts';
import { KIB } from '../../src/base/units.ts';
import { count } from '../counts.ts';
import { throwsWith } from '../rejects.ts';
import { engineFixture } from './engine-fixture.ts';
import { externalFixture } from './external-fixture.ts';

const SEED_OUTPUT = 16 * KIB;

function refusalOf(work: () => void): ErrorCode | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (isEntropyError(error)) return error.code;
    throw error;
  }
}

async function openAt(mask: number, cachedBytes: number, servedLimitBitsPerSecond = 512) {
  const fixture = await externalFixture({ mask, bytesPerFeed: 32, servedLimitBitsPerSecond });
  await fixture.start();
  for (let left = cachedBytes; left > 0; left -= 16 * KIB) await fixture.feed(Math.min(left, 16 * KIB));
  await fixture.clock.advance(1000);
  return fixture;
}

test('a closed gate serves nothing, and the target stays as it was', async () => {
  const { engine, counters } = await openAt(8, 0);
  const target = new Uint8Array(32);
  throwsWith(() => engine.serve(target, false), 'gate-closed');
  assert.ok(isAllZero(target));
  assert.is(counters.value('served.refused'), 1);
});

test('two seeds make the DRBG, and then one serves 16 KiB: 320 external bits each', async () => {
  const { engine, counters } = await openAt(8, 32 * KIB);
  engine.serve(new Uint8Array(SEED_OUTPUT), false);
  assert.is(counters.value('served.externalBits'), 640);
  engine.serve(new Uint8Array(1), false);
  assert.is(counters.value('served.externalBits'), 960);
  assert.is(counters.value('served.bytes'), SEED_OUTPUT + 1);
});

test('a reader flat out gets the burst and then the limit a second, and the reserve is never touched', async () => {
  const { engine, counters, clock, reservoir } = await openAt(8, 64 * KIB, 1024);
  const peakUnits = reservoir.creditedUnits + 320 * 1024;
  const target = new Uint8Array(SEED_OUTPUT);
  const seconds = count(40, 600);
  for (let second = 0; second < seconds; second++) {
    while (refusalOf(() => engine.serve(target, false)) === undefined);
    await clock.advance(1000);
  }
  const spentBits = counters.value('served.externalBits');
  assert.ok(spentBits <= 32_768 + 1024 * seconds, `${spentBits} bits`);
  assert.ok(spentBits > 32_768, 'the burst was had');
  assert.ok(
    reservoir.creditedUnits >= peakUnits / 5 - 320 * 1024 * (seconds / 10 + 1),
    'the kernel alone drew more',
  );
});

test('the refusal says what kept the bytes back: first the budget, then the reserve', async () => {
  const { engine, clock, feed } = await openAt(8, 8 * KIB, 512);
  const target = new Uint8Array(SEED_OUTPUT);
  let refused: ErrorCode | undefined;
  while ((refused = refusalOf(() => engine.serve(target, false))) === undefined);
  assert.is(refused, 'served-budget-spent');
  for (let minute = 0; minute < 100 && refused !== 'served-reserve-kept'; minute++) {
    await clock.advance(1000);
    refused = refusalOf(() => engine.serve(target, false));
  }
  assert.is(refused, 'served-reserve-kept');
  await feed(64 * KIB);
  await clock.advance(60_000);
  assert.is(
    refusalOf(() => engine.serve(target, false)),
    undefined,
    'serving goes on when the caches fill',
  );
});

test('a limit of 0 serves nothing that costs external entropy; a new limit counts at once', async () => {
  const { engine, clock } = await openAt(8, 32 * KIB, 0);
  const never = throwsWith(() => engine.serve(new Uint8Array(32), false), 'served-budget-spent');
  assert.equal(never.members, {});
  engine.served.configure({ bitsPerSecond: 64 });
  // The first output takes two seeds, of 320 bits each; what is told is when there will be the next.
  for (const retryAfterSeconds of [5, 5]) {
    const later = throwsWith(() => engine.serve(new Uint8Array(32), false), 'served-budget-spent');
    assert.equal(later.members, { retryAfterSeconds });
    await clock.advance(4_000);
    throwsWith(() => engine.serve(new Uint8Array(32), false), 'served-budget-spent');
    await clock.advance(1_000);
  }
  engine.serve(new Uint8Array(32), false);
});

test('under mask 12 a spent budget does not stop serving: seeds are made of RDSEED alone', async () => {
  const { engine, counters, reservoir } = await openAt(12, 32 * KIB, 0);
  const cached = reservoir.bytes;
  for (let piece = 0; piece < 20; piece++) engine.serve(new Uint8Array(SEED_OUTPUT), false);
  assert.is(counters.value('served.externalBits'), 0);
  assert.is(reservoir.bytes, cached);
});

test('fresh output takes a new block for each 16 KiB, sampled after the request', async () => {
  const { engine, clock, sources, counters } = engineFixture({ mask: 4 });
  engine.start();
  await clock.advance(100);
  const readsBefore = sources.rdseed.reads;
  const reseedsBefore = counters.value('drbg.reseeds');
  engine.serve(new Uint8Array(4 * SEED_OUTPUT), true);
  assert.ok(sources.rdseed.reads >= readsBefore + 4);
  assert.ok(counters.value('drbg.reseeds') >= reseedsBefore + 4);
});

test('fresh output counts nothing that was credited before the request', async () => {
  const { engine, clock, sources, mixer } = engineFixture({ mask: 5, interruptsReady: 200_000 });
  engine.start();
  await clock.advance(100);
  // Interrupts were gathered before; RDSEED is gone: nothing that is left is fresh.
  sources.rdseed.ready = 0;
  throwsWith(() => engine.serve(new Uint8Array(32), true), 'fresh-entropy-unavailable');
  assert.is(mixer.drbgState(), 'uninstantiated', 'what was credited before was not used');
});

test('cached external entropy is not fresh', async () => {
  const { engine } = await openAt(8, 32 * KIB);
  throwsWith(() => engine.serve(new Uint8Array(32), true), 'fresh-entropy-unavailable');
});

test('a reader who wants what cannot be had burns no credit on the way: pool and caches keep theirs', async () => {
  const { engine, mixer, reservoir } = await openAt(8, 32 * KIB);
  mixer.ingest(
    3,
    Uint8Array.from({ length: 20 }, (_, at) => at * 11),
    { creditableBytes: 20, rateUnits: 8192 },
  );
  const before = mixer.creditUnits();
  const cached = reservoir.bytes;
  for (let n = 0; n < 10; n++)
    throwsWith(() => engine.serve(new Uint8Array(32), true), 'fresh-entropy-unavailable');
  assert.equal(mixer.creditUnits(), before);
  assert.is(reservoir.bytes, cached);
});

test('external credit that a fresh request gives up is paid for', async () => {
  const { engine, mixer, counters } = await openAt(12, 32 * KIB);
  mixer.ingest(
    3,
    Uint8Array.from({ length: 20 }, (_, at) => at * 11),
    { creditableBytes: 20, rateUnits: 8192 },
  );
  const before = counters.value('served.externalBits');
  engine.serve(new Uint8Array(32), true);
  assert.ok(counters.value('served.externalBits') >= before + 160);
});

test.run();
