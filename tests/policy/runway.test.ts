import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Runway } from '../../src/policy/runway.ts';

const HOUR_MS = 3_600_000;

function isClose(actual: number, expected: number, share = 0.01): void {
  assert.ok(Math.abs(actual - expected) <= share * expected, `${actual} is not about ${expected}`);
}

/** Draws `units` every 10 s from one moment to another. */
function drawSteadily(runway: Runway, units: number, fromMs: number, toMs: number): void {
  for (let atMs = fromMs + 10_000; atMs <= toMs; atMs += 10_000) runway.drew(units, atMs);
}

test('nothing drawn: no rate, and no forecast', () => {
  const runway = new Runway();
  assert.is(runway.unitsPerSecond(HOUR_MS), 0);
  assert.is(runway.seconds(1e9, HOUR_MS), null);
  assert.equal(runway.warnings(0, HOUR_MS), []);
});

test('what is planned counts until more is drawn, and from the start', () => {
  const runway = new Runway();
  runway.plan(640);
  assert.is(runway.unitsPerSecond(0), 640);
  assert.is(runway.seconds(6400, 0), 10);
  drawSteadily(runway, 12_800, 0, 4 * HOUR_MS);
  isClose(runway.unitsPerSecond(4 * HOUR_MS), 1280);
  assert.is(runway.unitsPerSecond(40 * HOUR_MS), 640, 'and again when the draw ends');
});

test('a long rest before the first draw does not make the draw look slow', () => {
  const runway = new Runway();
  drawSteadily(runway, 6400, 1000 * HOUR_MS, 1000 * HOUR_MS + 120_000);
  isClose(runway.unitsPerSecond(1000 * HOUR_MS + 120_000), 640, 0.15);
});

test('the first minute tells nothing; from then on a steady draw is seen as it is', () => {
  const runway = new Runway();
  drawSteadily(runway, 6400, 0, 59_999);
  assert.is(runway.seconds(1e9, 59_999), null);
  drawSteadily(runway, 6400, 50_000, 4 * HOUR_MS);
  isClose(runway.unitsPerSecond(4 * HOUR_MS), 640);
  isClose(runway.seconds(640 * 5000, 4 * HOUR_MS) ?? 0, 5000);
  const young = new Runway();
  drawSteadily(young, 6400, 0, 70_000);
  isClose(young.unitsPerSecond(70_000), 640, 0.2);
});

test('a draw that stops is forgotten by e in ten minutes; one that doubles is half seen in seven', () => {
  const runway = new Runway();
  drawSteadily(runway, 6400, 0, 10 * HOUR_MS);
  const before = runway.unitsPerSecond(10 * HOUR_MS);
  isClose(runway.unitsPerSecond(10 * HOUR_MS + 600_000), before / Math.E);
  drawSteadily(runway, 12_800, 10 * HOUR_MS, 10 * HOUR_MS + 415_890);
  isClose(runway.unitsPerSecond(10 * HOUR_MS + 415_890), 1.5 * before, 0.03);
});

test('a time before the last one is taken as the last: no rate is below 0 or infinite', () => {
  const runway = new Runway();
  runway.drew(1000, 120_000);
  runway.drew(1000, 60_000);
  assert.ok(runway.unitsPerSecond(240_000) > 0);
  assert.ok(runway.unitsPerSecond(240_000) < 1000);
});

test('warns below 24 hours and below 1 hour, each once until the runway was a tenth above again', () => {
  const nowMs = 1000 * HOUR_MS;
  const runway = new Runway();
  runway.drew(0, 0);
  runway.drew(1_000_000, nowMs);
  const rate = runway.unitsPerSecond(nowMs);
  const warningsAt = (hours: number) => runway.warnings(rate * hours * 3600, nowMs);
  assert.equal(warningsAt(24.001), []);
  assert.equal(warningsAt(23.999), [24]);
  assert.equal(warningsAt(1.001), []);
  assert.equal(warningsAt(0.999), [1]);
  assert.equal(warningsAt(0.5), []);
  assert.equal(warningsAt(1.099), [], 'within the tenth');
  assert.equal(warningsAt(0.9), []);
  assert.equal(warningsAt(1.101), []);
  assert.equal(warningsAt(0.9), [1]);
  assert.equal(warningsAt(26.39), []);
  assert.equal(warningsAt(23), []);
  assert.equal(warningsAt(26.41), []);
  assert.equal(warningsAt(0.5), [24, 1], 'both at once, the longer first');
});

test.run();
