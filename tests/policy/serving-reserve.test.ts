import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ServingReserve } from '../../src/policy/serving-reserve.ts';

test('a fifth of the most that was cached is kept, however little is left', () => {
  const reserve = new ServingReserve();
  assert.is(reserve.servableUnits(0), 0);
  reserve.observe(1000);
  assert.is(reserve.servableUnits(1000), 800);
  reserve.observe(300);
  assert.is(reserve.reserveUnits, 200);
  assert.is(reserve.servableUnits(300), 100);
  assert.is(reserve.servableUnits(200), 0);
  assert.is(reserve.servableUnits(199), 0);
  reserve.observe(2001);
  assert.is(reserve.reserveUnits, 401, 'rounded up: the kernel gets the odd unit');
});

test('begins anew when the caches ran empty, or when they became others', () => {
  const reserve = new ServingReserve();
  reserve.observe(1000);
  reserve.observe(0);
  reserve.observe(100);
  assert.is(reserve.reserveUnits, 20);
  reserve.rebase(50);
  assert.is(reserve.reserveUnits, 10);
});

test.run();
