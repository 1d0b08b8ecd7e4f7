import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Counters } from '../../src/base/counters.ts';
import { EventBus } from '../../src/base/events.ts';
import type { Log } from '../../src/base/log.ts';
import { logEvents, textLine } from '../../src/daemon/logging.ts';
import { FakeClock } from '../fakes/fake-clock.ts';

function loggedBus() {
  const bus = new EventBus({ capacity: 10 }, { clock: new FakeClock(), counters: new Counters() });
  const lines: string[] = [];
  const at = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  logEvents(bus, log);
  return { bus, lines };
}

test('each event is one line at the level of its severity', () => {
  const { bus, lines } = loggedBus();
  bus.emit('gate.open');
  bus.emit('gate.closed', { reason: 'failed' });
  bus.emit('source.failed', { source: 'rdseed' });
  assert.equal(lines, ['info gate.open', 'warn gate.closed', 'error source.failed']);
});

test('a feed that only follows another is a matter for debugging; the first after anything else is told', () => {
  const { bus, lines } = loggedBus();
  bus.emit('kernel.fed');
  bus.emit('kernel.fed');
  bus.emit('kernel.feed.failed');
  bus.emit('kernel.fed');
  assert.equal(lines, ['info kernel.fed', 'debug kernel.fed', 'error kernel.feed.failed', 'info kernel.fed']);
});

test('a line for people: time, level, event, meaning, fields', () => {
  const json =
    '{"level":30,"time":"2026-01-01T00:00:00.000Z","msg":"kernel.fed","meaning":"Fed.","bytes":64,"path":"ioctl"}';
  assert.is(textLine(json), '2026-01-01T00:00:00.000Z info  kernel.fed: Fed. (bytes=64 path=ioctl)\n');
});

test('no field can break the line or steer a terminal', () => {
  const json = JSON.stringify({ level: 50, time: 't', msg: 'x', because: 'a\nfake line \u001b[2J' });
  const line = textLine(json);
  assert.is(line.split('\n').length, 2);
  assert.not.match(line, '\u001b');
});

test.run();
