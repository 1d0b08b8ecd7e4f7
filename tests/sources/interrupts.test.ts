import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { INTERRUPT_COLLECTOR_DEFAULTS, type InterruptCollector } from '../../src/hardware/hardware.ts';
import { InterruptSource } from '../../src/sources/interrupts.ts';

/** The native collector, with events that appear when the test says so. */
class ScriptedCollector implements InterruptCollector {
  running = false;
  events = 0;
  dropped = 0;
  kept: number[] = [];

  gather(...symbols: number[]): void {
    this.kept.push(...symbols);
    this.events += symbols.length;
  }

  start(): void {
    if (this.running) throw new Error('it runs already');
    this.running = true;
  }

  take(target: Uint8Array): number {
    const taken = this.kept.splice(0, target.length);
    target.set(taken);
    return taken.length;
  }

  status() {
    return { running: this.running, events: this.events, dropped: this.dropped, lastError: 0 };
  }

  stop(): void {
    this.running = false;
    this.kept = [];
  }
}

function newSource() {
  const collector = new ScriptedCollector();
  const counts = { interrupts: 1000 as number | undefined };
  const source = new InterruptSource(INTERRUPT_COLLECTOR_DEFAULTS, {
    collector,
    interruptCount: () => counts.interrupts,
  });
  const rise = (by: number) => (counts.interrupts = (counts.interrupts ?? 0) + by);
  return { collector, counts, source, rise };
}

test('what was gathered is given once, in order', () => {
  const { collector, source, rise } = newSource();
  source.open();
  collector.gather(1, 2, 3);
  rise(3);
  const target = new Uint8Array(2);
  assert.equal(source.read(target), { bytes: 2, creditableBytes: 2, failure: '' });
  assert.equal([...target], [1, 2]);
  assert.equal(source.read(target), { bytes: 1, creditableBytes: 1, failure: '' });
  assert.is(source.read(target).bytes, 0);
});

test('never more events are creditable than /proc/interrupts rose by', () => {
  const { collector, source, rise } = newSource();
  source.open();
  collector.gather(...new Array<number>(10).fill(7));
  rise(4);
  assert.equal(source.read(new Uint8Array(16)), { bytes: 10, creditableBytes: 4, failure: '' });
});

test('a rise larger than the events does not carry over to later events', () => {
  const { collector, source, rise } = newSource();
  source.open();
  collector.gather(1);
  rise(1000);
  assert.is(source.read(new Uint8Array(16)).creditableBytes, 1);
  collector.gather(2, 3);
  assert.is(source.read(new Uint8Array(16)).creditableBytes, 0);
});

test('events accounted for but not yet taken keep their credit', () => {
  const { collector, source, rise } = newSource();
  source.open();
  collector.gather(1, 2, 3, 4);
  rise(4);
  assert.is(source.read(new Uint8Array(1)).creditableBytes, 1);
  assert.equal(source.read(new Uint8Array(16)), { bytes: 3, creditableBytes: 3, failure: '' });
});

test('a counter that goes back or cannot be read gives no credit', () => {
  const { collector, counts, source } = newSource();
  source.open();
  collector.gather(1);
  counts.interrupts = 5;
  assert.is(source.read(new Uint8Array(1)).creditableBytes, 0);
  collector.gather(1);
  counts.interrupts = undefined;
  assert.is(source.read(new Uint8Array(1)).creditableBytes, 0);
});

test('a count that was unknown at the start is no rise when it comes back', () => {
  const { collector, counts, source } = newSource();
  counts.interrupts = undefined;
  source.open();
  collector.gather(1, 2);
  counts.interrupts = 5_000_000;
  assert.is(source.read(new Uint8Array(2)).creditableBytes, 0);
});

test('events that were dropped are worth nothing to later ones', () => {
  const { collector, source, rise } = newSource();
  source.open();
  collector.gather(1);
  collector.events += 200;
  collector.dropped = 200;
  rise(201);
  assert.is(source.read(new Uint8Array(1)).creditableBytes, 1);
  collector.gather(2);
  assert.is(source.read(new Uint8Array(1)).creditableBytes, 0);
});

test('a collecting thread that ended by itself is a failure, not silence', () => {
  const { collector, source } = newSource();
  source.open();
  collector.running = false;
  assert.match(source.read(new Uint8Array(1)).failure, 'thread ended');
});

test('without the addon, or without /proc/interrupts, the source says that it is unavailable', () => {
  const noCollector = new InterruptSource(INTERRUPT_COLLECTOR_DEFAULTS, {
    collector: undefined,
    interruptCount: () => 1,
  });
  assert.is(noCollector.unavailable, 'no native addon');
  const noCount = new InterruptSource(INTERRUPT_COLLECTOR_DEFAULTS, {
    collector: new ScriptedCollector(),
    interruptCount: () => undefined,
  });
  assert.is(noCount.unavailable, '/proc/interrupts cannot be read');
  noCount.open();
  assert.is(noCount.read(new Uint8Array(1)).bytes, 0);
});

test('opened twice it gathers once, closed it gives nothing', () => {
  const { collector, source } = newSource();
  source.open();
  source.open();
  collector.gather(1);
  source.close();
  assert.not.ok(collector.running);
  assert.is(source.read(new Uint8Array(1)).bytes, 0);
});

test.run();
