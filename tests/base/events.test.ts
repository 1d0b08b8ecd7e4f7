import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus, type EventRecord } from '../../src/base/events.ts';
import { FakeClock } from '../fakes/fake-clock.ts';

function bus(capacity: number) {
  const clock = new FakeClock();
  const counters = new Counters();
  return { clock, counters, events: new EventBus({ capacity }, { clock, counters }) };
}

test('events are numbered without gaps and carry the severity of the table', () => {
  const { events } = bus(10);
  events.emit('gate.open');
  events.emit('source.failed', { source: 'rdseed' });
  const { records, latest, oldest } = events.since(0);
  assert.equal(
    records.map((record) => [record.sequence, record.id, record.severity]),
    [
      [1, 'gate.open', 'notice'],
      [2, 'source.failed', 'alert'],
    ],
  );
  assert.is(latest, 2);
  assert.is(oldest, 1);
});

test('only the last events are kept, and a reader can tell that he missed some', () => {
  const { events } = bus(2);
  for (let n = 0; n < 5; n++) events.emit('gate.open');
  assert.equal(
    events.since(0).records.map((record) => record.sequence),
    [4, 5],
  );
  assert.is(events.since(0).oldest, 4);
  assert.equal(events.since(5).records, []);
});

test('routine events make room first: no number of feeds pushes out the failure of a source', () => {
  const { events } = bus(3);
  events.emit('source.failed');
  for (let n = 0; n < 100; n++) events.emit('kernel.fed');
  events.emit('gate.closed');
  assert.equal(
    events.since(0).records.map((record) => `${record.sequence} ${record.id}`),
    ['1 source.failed', '101 kernel.fed', '102 gate.closed'],
  );
  assert.is(events.since(0).oldest, 1, 'nothing but routine events is missing');
  events.emit('gate.open');
  events.emit('gate.closed');
  assert.is(events.since(0).oldest, 2, 'now the first is gone');
});

test('an empty bus has nothing before its first event', () => {
  assert.equal(bus(2).events.since(0), { oldest: 1, latest: 0, records: [] });
});

test('subscribers hear in order until they leave, and one that throws harms nobody', () => {
  const { events, counters } = bus(10);
  const heard: EventRecord[] = [];
  events.subscribe(() => {
    throw new Error('slow reader');
  });
  const leave = events.subscribe((record) => heard.push(record));
  events.emit('gate.open');
  leave();
  events.emit('gate.closed');
  assert.equal(
    heard.map((record) => record.id),
    ['gate.open'],
  );
  assert.is(counters.value('events.dropped'), 2);
});

test.run();
