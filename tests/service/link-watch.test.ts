import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { LinkWatch } from '../../src/service/link-watch.ts';
import { FakeClock } from '../fakes/fake-clock.ts';

const PEER = { address: '127.0.0.1:40000', ipAddress: '127.0.0.1' };

interface Bench {
  readonly clock: FakeClock;
  readonly watch: LinkWatch;
  /** What was told since the last look, as `id subject comment`. */
  readonly told: () => string[];
  /** Objects of all events. */
  readonly objects: () => unknown[];
}

function open(): Bench {
  const clock = new FakeClock();
  const events = new EventBus({ capacity: 100 }, { clock, counters: new Counters() });
  const watch = new LinkWatch({ timeoutMs: 60_000 }, { clock, events });
  let last = 0;
  const told = (): string[] => {
    const { records, latest } = events.since(last);
    last = latest;
    return records.map(({ id, detail }) =>
      [id, detail.subject, detail.comment].filter((part) => part !== undefined).join(' '),
    );
  };
  const objects = (): unknown[] => events.since(0).records.map(({ detail }) => detail.object);
  return { clock, watch, told, objects };
}

test('the first bytes are told once, for the feeder and for the host', () => {
  const { watch, told } = open();
  watch.add(1, 'hsm-1');
  assert.equal([watch.stateOf(1), watch.hostState, watch.lastHeardMs(1)], ['never', 'never', null]);
  watch.heard(1, PEER, true);
  assert.equal(told(), []);
  watch.bytes(1, PEER, true);
  watch.bytes(1, PEER, true);
  assert.equal(told(), ['entropy.data.received hsm-1', 'entropy.data.received host']);
  assert.equal(
    [watch.stateOf(1), watch.hostState, watch.addressOf(1)],
    ['connected', 'connected', PEER.address],
  );
});

test('silence is told at the timeout, to the millisecond, and the first bytes after it again', async () => {
  const { clock, watch, told } = open();
  watch.add(1, 'hsm-1');
  watch.bytes(1, PEER, true);
  told();
  await clock.advance(30_000);
  watch.heard(1, PEER, true);
  await clock.advance(59_999);
  assert.equal(told(), []);
  await clock.advance(1);
  assert.equal(told().sort(), ['entropy.data.timeout host silent', 'entropy.data.timeout hsm-1 silent']);
  await clock.advance(600_000);
  assert.equal([told(), watch.stateOf(1)], [[], 'lost']);
  watch.bytes(1, PEER, true);
  assert.equal(told().sort(), ['entropy.data.received host', 'entropy.data.received hsm-1']);
});

test('who is there with a grant but sends no bytes is dry', async () => {
  const { clock, watch, told } = open();
  watch.add(1, 'hsm-1');
  watch.heard(1, PEER, true);
  watch.granted(1, true, true);
  for (let step = 0; step < 6; step++) {
    await clock.advance(10_000);
    watch.heard(1, PEER, true);
  }
  assert.equal(told().sort(), ['entropy.data.timeout host dry', 'entropy.data.timeout hsm-1 dry']);
});

test('without a grant nobody is dry', async () => {
  const { clock, watch, told } = open();
  watch.add(1, 'hsm-1');
  watch.granted(1, false, false);
  for (let step = 0; step < 20; step++) {
    watch.heard(1, PEER, true);
    await clock.advance(10_000);
  }
  assert.equal(told(), []);
});

test('worthless bytes do not stand for the host; one feeder of two keeps its link', async () => {
  const { clock, watch, told } = open();
  watch.add(1, 'beacon');
  watch.add(2, 'hsm-2');
  watch.bytes(1, PEER, false);
  assert.equal(told(), ['entropy.data.received beacon']);
  watch.bytes(2, PEER, true);
  told();
  await clock.advance(40_000);
  watch.bytes(2, PEER, true);
  await clock.advance(20_000);
  assert.equal(told(), ['entropy.data.timeout beacon silent']);
  assert.is(watch.hostState, 'connected');
});

test('a shorter timeout is in force at once; one who is no longer watched is not missed', async () => {
  const { clock, watch, told } = open();
  watch.add(1, 'hsm-1');
  watch.heard(1, PEER, true);
  watch.remove(1);
  await clock.advance(10_000);
  watch.reconfigure({ timeoutMs: 10_000 });
  await clock.advance(0);
  assert.equal(told(), ['entropy.data.timeout host silent']);
  watch.close();
  assert.is(clock.pendingTimers, 0);
});

test('events tell the IP address alone, the list of feeders the port too', async () => {
  const { clock, watch, objects } = open();
  watch.add(1, 'hsm-1');
  watch.bytes(1, { address: '[::1]:40000', ipAddress: '::1' }, true);
  await clock.advance(60_000);
  assert.equal(new Set(objects()), new Set(['::1']));
  assert.is(objects().length, 4);
  assert.is(watch.addressOf(1), '[::1]:40000');
});

test.run();
