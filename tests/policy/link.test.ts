import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../src/policy/link.ts';
import { isA } from '../rejects.ts';

const TIMEOUT_MS = 60_000;
const newLink = (): Link => new Link({ timeoutMs: TIMEOUT_MS }, 0);

test('never heard: lost from the start, told as silent after the timeout, once', () => {
  const link = newLink();
  assert.equal(link.state, { state: 'lost', loss: null });
  assert.is(link.deadlineMs, TIMEOUT_MS);
  assert.is(link.check(TIMEOUT_MS - 1), undefined);
  assert.is(link.check(TIMEOUT_MS), 'silent');
  assert.is(link.check(2 * TIMEOUT_MS), undefined);
  assert.equal(link.state, { state: 'lost', loss: 'silent' });
  assert.is(link.deadlineMs, undefined);
});

test('received: the first bytes, not the next, and the first after a loss', () => {
  const link = newLink();
  link.heard(1);
  assert.is(link.bytes(2), 'received');
  assert.is(link.bytes(3), undefined);
  assert.is(link.check(3 + TIMEOUT_MS), 'silent');
  link.heard(3 + TIMEOUT_MS);
  assert.equal(link.state, { state: 'connected', loss: null });
  assert.is(link.bytes(4 + TIMEOUT_MS), 'received');
  assert.is(link.bytes(5 + TIMEOUT_MS), undefined);
});

test('silent exactly when nothing was heard for the timeout; any authentic frame begins it anew', () => {
  const link = newLink();
  link.heard(10);
  link.heard(50_000);
  assert.is(link.deadlineMs, 110_000);
  assert.is(link.check(109_999), undefined);
  assert.equal(link.state, { state: 'connected', loss: null });
  assert.is(link.check(110_000), 'silent');
});

test('without a grant outstanding silence of bytes is no fault', () => {
  const link = newLink();
  for (let nowMs = 0; nowMs <= 10 * TIMEOUT_MS; nowMs += 1000) {
    link.heard(nowMs);
    assert.is(link.check(nowMs), undefined);
  }
});

test('dry: heard, with a grant outstanding, but no bytes for the timeout, counted from the grant or the last bytes', () => {
  const link = newLink();
  link.heard(0);
  link.granted(true, 5000);
  link.granted(true, 30_000);
  link.heard(60_000);
  assert.is(link.deadlineMs, 65_000);
  assert.is(link.check(64_999), undefined);
  assert.is(link.check(65_000), 'dry');
  assert.equal(link.state, { state: 'lost', loss: 'dry' });
  link.heard(66_000);
  assert.equal(link.state, { state: 'lost', loss: 'dry' }, 'pings are no entropy');
  assert.is(link.check(66_000), undefined, 'told once');
  assert.is(link.bytes(70_000), 'received');
  assert.is(link.deadlineMs, 130_000);
  assert.equal(link.state, { state: 'connected', loss: null });
});

test('a grant that is used up or withdrawn ends being dry, and is counted anew when given again', () => {
  const link = newLink();
  link.heard(0);
  link.granted(true, 0);
  link.heard(59_000);
  assert.is(link.check(60_000), 'dry');
  link.granted(false, 61_000);
  assert.equal(link.state, { state: 'connected', loss: null });
  link.heard(100_000);
  assert.is(link.check(118_000), undefined);
  link.granted(true, 118_000);
  link.heard(150_000);
  assert.is(link.check(177_999), undefined);
  assert.is(link.check(178_000), 'dry');
});

test('a dry link that falls silent too is told: now nobody is there', () => {
  const link = newLink();
  link.heard(0);
  link.granted(true, 0);
  link.heard(59_000);
  assert.is(link.check(60_000), 'dry');
  assert.is(link.deadlineMs, 119_000);
  assert.is(link.check(119_000), 'silent');
});

test('who comes back from silence has the whole timeout to give bytes', () => {
  const link = newLink();
  link.granted(true, 0);
  assert.is(link.check(60_000), 'silent');
  link.heard(100_000);
  assert.is(link.check(100_000), undefined);
  link.heard(159_000);
  assert.is(link.check(160_000), 'dry');
});

test('another timeout holds for what has waited already', () => {
  const link = newLink();
  link.heard(0);
  link.reconfigure({ timeoutMs: 1000 });
  assert.is(link.deadlineMs, 1000);
  assert.is(link.check(1000), 'silent');
  for (const timeoutMs of [0, -1, NaN, Infinity])
    assert.throws(() => link.reconfigure({ timeoutMs }), isA(RangeError));
});

test.run();
