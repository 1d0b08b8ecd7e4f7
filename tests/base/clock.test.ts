import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SystemClock, delay, withTimeout } from '../../src/base/clock.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';

test('the system clock measures intervals that never go back', () => {
  const clock = new SystemClock();
  let last = clock.monotonicMs();
  for (let n = 0; n < 1000; n++) {
    const now = clock.monotonicMs();
    assert.ok(now >= last);
    last = now;
  }
  assert.ok(clock.wallMs() > Date.UTC(2026, 0, 1));
  assert.ok(clock.bootMs() > 0);
});

test('a cancelled timer of the system clock does not fire', async () => {
  const clock = new SystemClock();
  let fired = false;
  clock.after(1, () => (fired = true)).cancel();
  await delay(clock, 10);
  assert.not.ok(fired);
});

test('work that ends in time keeps its result, and leaves no timer behind', async () => {
  const clock = new FakeClock();
  assert.is(await withTimeout(clock, 10, Promise.resolve(7), () => new Error('late')), 7);
  assert.is(clock.pendingTimers, 0);
});

test('work that takes longer rejects exactly at the limit', async () => {
  const clock = new FakeClock();
  let outcome = 'pending';
  const never = new Promise<void>(() => undefined);
  withTimeout(clock, 10, never, () => new Error('late')).catch((error: unknown) => {
    outcome = (error as Error).message;
  });
  await clock.advance(9);
  assert.is(outcome, 'pending');
  await clock.advance(1);
  assert.is(outcome, 'late');
});

test('the fake clock fires in order of due time and lets each settle before the next', async () => {
  const clock = new FakeClock();
  const order: string[] = [];
  clock.after(20, () => order.push(`b at ${clock.monotonicMs()}`));
  clock.after(10, () => {
    order.push(`a at ${clock.monotonicMs()}`);
    void Promise.resolve().then(() => order.push('settled'));
    clock.after(5, () => order.push(`nested at ${clock.monotonicMs()}`));
  });
  await clock.advance(20);
  await settle();
  assert.equal(order, ['a at 10', 'settled', 'nested at 15', 'b at 20']);
});

test('a suspended host: boot time outgrows monotonic time', () => {
  const clock = new FakeClock();
  clock.suspend(5000);
  assert.is(clock.monotonicMs(), 0);
  assert.is(clock.bootMs(), 5000);
});

test.run();
