import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import { Gate } from '../../src/policy/gate.ts';
import { FakeClock } from '../fakes/fake-clock.ts';

function newGate() {
  const clock = new FakeClock();
  const events = new EventBus({ capacity: 100 }, { clock, counters: new Counters() });
  const told = () => events.since(0).records.map((record) => record.id + JSON.stringify(record.detail));
  return { clock, gate: new Gate({ clock, events }), told };
}

test('closed while warming, open with the first block, and told once', () => {
  const { gate, told } = newGate();
  assert.is(gate.state().reason, 'warming');
  assert.not.ok(gate.open);
  assert.ok(gate.mayExtract(), 'a closed gate still tries: that is how it opens');
  gate.extracted();
  gate.extracted();
  assert.ok(gate.open);
  assert.equal(told(), ['gate.open{}']);
});

test('closes with its reason when a needed block is missed, and reopens by itself', () => {
  const { gate, told, clock } = newGate();
  gate.extracted();
  void clock.advance(5000);
  gate.missed('credit-starved');
  gate.missed('credit-starved');
  assert.is(gate.state().reason, 'credit-starved');
  assert.ok(gate.state().whatToDo.length > 0);
  gate.extracted();
  assert.equal(told(), [
    'gate.open{}',
    'gate.closed{"reason":"credit-starved"}',
    'entropy.rbg.failure{"reason":"credit-starved"}',
    'gate.open{}',
  ]);
});

test('a change of reason is told, but the gate has been closed since it closed', async () => {
  const { gate, clock, told } = newGate();
  gate.extracted();
  await clock.advance(1000);
  gate.missed('credit-starved');
  const closedAt = gate.state().sinceMs;
  await clock.advance(1000);
  gate.missed('failed');
  assert.is(gate.state().reason, 'failed');
  assert.is(gate.state().sinceMs, closedAt);
  assert.is(told().filter((event) => event.startsWith('gate.closed')).length, 2);
});

test('a held gate stays closed whatever the sources give', () => {
  const { gate } = newGate();
  gate.extracted();
  gate.hold('self-test failed');
  gate.extracted();
  gate.missed('warming');
  assert.not.ok(gate.mayExtract());
  assert.is(gate.state().reason, 'failed');
});

test('holding a gate that was closed as failed already is told: why it stays so is new', () => {
  const { gate, told } = newGate();
  gate.missed('failed');
  gate.hold('self-test 3 failed');
  gate.hold('again');
  assert.equal(told(), [
    'gate.closed{"reason":"failed"}',
    'entropy.rbg.failure{"reason":"failed"}',
    'gate.closed{"reason":"failed","because":"self-test 3 failed"}',
  ]);
});

test('under an override an open gate is overridden, a closed one stays closed, and both tell the override', async () => {
  const { gate, clock } = newGate();
  const override = { mask: 4, untilMs: 1, reason: 'HSM moved', by: 'uid 0' };
  gate.override(override);
  assert.equal([gate.state().state, gate.state().reason], ['closed', 'warming']);
  assert.equal(gate.state().override, override);
  gate.extracted();
  assert.is(gate.state().state, 'overridden');
  assert.is(gate.state().reason, null);
  assert.match(gate.state().whatToDo, 'gate restore');
  await clock.advance(1000);
  gate.override(null);
  assert.is(gate.state().state, 'open');
  assert.is(gate.state().sinceMs, clock.wallMs(), 'it was another gate until now');
  assert.is(gate.state().whatToDo, '');
});

test('an override opens no gate that is held', () => {
  const { gate } = newGate();
  gate.hold('self-test failed');
  gate.override({ mask: 4, untilMs: 1, reason: 'HSM moved', by: 'uid 0' });
  gate.extracted();
  assert.is(gate.state().state, 'closed');
  assert.not.ok(gate.mayExtract());
});

test.run();
