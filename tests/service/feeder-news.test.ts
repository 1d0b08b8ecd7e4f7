import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { FeederNews } from '../../src/service/feeder-news.ts';
import { FakeClock } from '../fakes/fake-clock.ts';

function open(): { readonly news: FeederNews; readonly clock: FakeClock; readonly told: () => unknown[] } {
  const clock = new FakeClock();
  const events = new EventBus({ capacity: 1000 }, { clock, counters: new Counters() });
  const told = (): unknown[] => events.since(0).records.map(({ detail }) => detail);
  return { news: new FeederNews({ events, clock }), clock, told };
}

test('the first duplicate is told at once, the next ones together, a minute later to the millisecond', async () => {
  const { news, clock, told } = open();
  for (let frame = 0; frame < 300; frame++) news.tell('feeder.duplicate', 'hsm');
  assert.equal(told(), [{ feeder: 'hsm' }]);
  await clock.advance(59_999);
  news.tell('feeder.duplicate', 'hsm');
  assert.is(told().length, 1);
  await clock.advance(1);
  news.tell('feeder.duplicate', 'hsm');
  assert.equal(told()[1], { feeder: 'hsm', count: 301 });
});

test('a feeder that connects in a loop is told 8 times, then once a minute; others and other news are not kept back', async () => {
  const { news, clock, told } = open();
  for (let n = 0; n < 20; n++) news.tell('feeder.connected', 'loop', { address: 'a' });
  assert.is(told().length, 8);
  news.tell('feeder.connected', 'other', { address: 'b' });
  news.tell('feeder.refused', 'loop', { code: 'c' });
  assert.is(told().length, 10);
  await clock.advance(60_000);
  news.tell('feeder.connected', 'loop', { address: 'a' });
  news.tell('feeder.connected', 'loop', { address: 'a' });
  assert.equal(told().slice(10), [{ feeder: 'loop', address: 'a', count: 13 }]);
});

test.run();
