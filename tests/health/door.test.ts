import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Verdict } from '../../src/base/names.ts';
import { aptCutoff } from '../../src/health/cutoffs.ts';
import {
  DoorHealth,
  doorTests,
  SUSPENDING_FAILURES,
  SUSPENSION_WINDOW_FRAMES,
} from '../../src/health/door.ts';
import { FIRST_DOOR_SLOT, SLOT_COUNT, type Mixer } from '../../src/mixer/mixer.ts';
import { count } from '../counts.ts';
import { SeededStream } from '../fakes/seeded-stream.ts';
import { freshMixer } from '../mixer/built.ts';

const DOOR = FIRST_DOOR_SLOT + 7;

function openDoor(): Mixer {
  const mixer = freshMixer('simd');
  mixer.configureSlot(DOOR, doorTests());
  return mixer;
}

const verdictOf = (bytes: Uint8Array): Verdict => openDoor().test(DOOR, bytes);

/** Random words of 8 bytes, with some taken from earlier ones: entry n is the index of the word that stands in place n. */
function wordsFrom(indices: readonly number[]): Uint8Array {
  const random = new SeededStream('door words').bytes(8 * (Math.max(...indices) + 1));
  return Buffer.concat(indices.map((index) => random.subarray(8 * index, 8 * index + 8)));
}

/** 512 bytes of which `equals` are the first one, spread, and the others differ from it and their neighbours. */
function windowWith(equals: number): Uint8Array {
  const window = Uint8Array.from({ length: 512 }, (_, i) => 1 + (i % 251));
  for (let i = 0; i < equals; i++) window[Math.floor((i * 512) / equals)] = 0;
  return window;
}

test('the cutoffs: two equal words refuse, three suspend; the APT at 2^-40 and 2^-80 of 4 bits a byte', () => {
  const tests = doorTests();
  assert.equal([tests.symbolBits, tests.rctIntermittent, tests.rctPermanent], [64, 2, 3]);
  assert.equal([tests.aptWindowSamples, tests.aptIntermittent, tests.aptPermanent], [512, 78, 102]);
  assert.equal([tests.aptIntermittent, tests.aptPermanent], [aptCutoff(40, 4, 512), aptCutoff(80, 4, 512)]);
  assert.is(tests.maximumRateUnits, 0, 'the slot itself is worth nothing');
});

test('random frames of any length pass', () => {
  const mixer = openDoor();
  const stream = new SeededStream('door');
  for (let frame = 0; frame < count(300, 20_000); frame++) {
    const length = frame % 10 === 0 ? 65_536 : 32 + ((frame * 97) % 4000);
    assert.is(mixer.test(DOOR, stream.bytes(length)), 'healthy', `frame ${frame} of ${length} bytes`);
  }
});

test('a stuck device: constant bytes suspend with the first frame', () => {
  for (const byte of [0x00, 0xff, 0x5a]) assert.is(verdictOf(new Uint8Array(32).fill(byte)), 'permanent');
});

test('the same 8-byte word twice in a row refuses the frame, three times suspends', () => {
  assert.is(verdictOf(wordsFrom([0, 1, 2, 3])), 'healthy');
  assert.is(verdictOf(wordsFrom([0, 1, 1, 2])), 'intermittent');
  assert.is(verdictOf(wordsFrom([0, 1, 1, 1])), 'permanent');
});

test('words that alternate are found: two equal at lag 2 refuse, three suspend', () => {
  assert.is(verdictOf(wordsFrom([0, 1, 0, 2])), 'intermittent');
  assert.is(verdictOf(wordsFrom([0, 1, 0, 1, 0])), 'permanent');
  assert.is(verdictOf(wordsFrom([0, 1, 2, 0, 1, 2])), 'healthy', 'lag 3 is the duplicate detector’s');
});

test('a word repeated over the end of a frame is found in the next', () => {
  const mixer = openDoor();
  assert.is(mixer.test(DOOR, wordsFrom([0, 1, 2, 3])), 'healthy');
  assert.is(mixer.test(DOOR, wordsFrom([3, 4, 5, 6])), 'intermittent');
  mixer.resetSlot(DOOR);
  assert.is(
    mixer.test(DOOR, wordsFrom([6, 0, 1, 2])),
    'healthy',
    'after a reset the first word is the first',
  );
});

test('a biased device: 77 of 512 equal bytes pass, 78 refuse, 102 suspend', () => {
  assert.is(verdictOf(windowWith(77)), 'healthy');
  assert.is(verdictOf(windowWith(78)), 'intermittent');
  assert.is(verdictOf(windowWith(101)), 'intermittent');
  assert.is(verdictOf(windowWith(102)), 'permanent');
});

test('bytes behind the last whole word are seen by the APT alone', () => {
  const [word, seven] = [wordsFrom([1]), wordsFrom([1]).subarray(0, 7)];
  assert.is(verdictOf(Buffer.concat([wordsFrom([0]), word, seven])), 'healthy', 'no eighth byte, no word');
  const mixer = openDoor();
  const opening = Buffer.concat([Buffer.alloc(1), windowWith(1).subarray(1, 32)]);
  assert.is(mixer.test(DOOR, opening), 'healthy', 'byte 0 opened the window');
  // From here on 0 comes in tails alone: 11 frames of 8 distinct bytes and 7 zeros reach the cutoff of 78.
  const tailed = (frame: number) => Buffer.concat([Buffer.alloc(8, 100 + frame), Buffer.alloc(7)]);
  const verdicts = Array.from({ length: 11 }, (_, frame) => mixer.test(DOOR, tailed(frame)));
  assert.equal(verdicts, [...Array<Verdict>(10).fill('healthy'), 'intermittent']);
});

test('one feeder’s failure is its own: the tests of another door go on as before', () => {
  const mixer = openDoor();
  const other = SLOT_COUNT - 1;
  mixer.configureSlot(other, doorTests());
  assert.is(mixer.test(DOOR, new Uint8Array(64)), 'permanent');
  assert.is(mixer.test(other, wordsFrom([0, 1, 2])), 'healthy');
});

test('a permanent verdict suspends at once', () => {
  assert.ok(new DoorHealth().tested('permanent'));
});

test(`${SUSPENDING_FAILURES} failed frames within ${SUSPENSION_WINDOW_FRAMES} suspend, over ${SUSPENSION_WINDOW_FRAMES + 1} they do not`, () => {
  for (const [frames, suspended] of [
    [SUSPENSION_WINDOW_FRAMES, true],
    [SUSPENSION_WINDOW_FRAMES + 1, false],
  ] as const) {
    const health = new DoorHealth();
    const outcomes = Array.from({ length: frames }, (_, index) =>
      health.tested(index === 0 || index === 500 || index === frames - 1 ? 'intermittent' : 'healthy'),
    );
    assert.is(outcomes.pop(), suspended);
    assert.not.ok(outcomes.includes(true));
  }
});

test('after a suspension, and after an operator’s word, failures count anew', () => {
  const health = new DoorHealth();
  const fail = () => health.tested('intermittent');
  assert.equal([fail(), fail(), fail(), fail(), fail(), fail()], [false, false, true, false, false, true]);
  fail();
  fail();
  health.reset();
  assert.equal([fail(), fail(), fail()], [false, false, true]);
});

test.run();
