import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { COUNTERS } from '../../src/base/counters.ts';
import { ERRORS, EXIT, EntropyError, isEntropyError, isErrorCode } from '../../src/base/errors.ts';
import { EVENTS } from '../../src/base/events.ts';

const source = readdirSync(new URL('../../src', import.meta.url), { recursive: true, encoding: 'utf8' })
  .filter(
    (name) => name.endsWith('.ts') && !/base\/([a-z-]*errors|error-table|events|counters)\.ts$/.test(name),
  )
  .map((name) => readFileSync(new URL(`../../src/${name}`, import.meta.url), 'utf8'))
  .join('\n');

/** Names of a table that nothing in src ever uses: dead rows, or promises not kept. */
function unused(table: object): string[] {
  return Object.keys(table).filter((name) => !source.includes(`'${name}'`));
}

test('every error code, event and counter of the tables is in use', () => {
  assert.equal(unused(ERRORS), []);
  assert.equal(unused(EVENTS), []);
  assert.equal(unused(COUNTERS), []);
});

test('error codes are kebab-case, their numbers valid, and each says what to do', () => {
  const exits = new Set<number>(Object.values(EXIT));
  for (const [code, entry] of Object.entries(ERRORS)) {
    assert.match(code, /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
    assert.ok(entry.http >= 400 && entry.http < 600, code);
    const isPrivate = entry.webSocketClose === 4000 + entry.http;
    assert.ok(
      isPrivate || [1009, 1011].includes(entry.webSocketClose),
      `${code}: close ${entry.webSocketClose}`,
    );
    assert.ok(exits.has(entry.exit) && entry.exit !== EXIT.ok, code);
    assert.ok(entry.meaning.endsWith('.') && entry.whatToDo.endsWith('.'), code);
  }
});

test('what can be retried is told with a status that clients retry', () => {
  for (const [code, entry] of Object.entries(ERRORS)) {
    if (entry.http === 503) assert.ok(entry.retryable, code);
  }
});

test('events are dotted names, and what is worse than notice says what to do or lifts by itself', () => {
  for (const [id, entry] of Object.entries(EVENTS)) {
    assert.match(id, /^[a-z]+(\.[a-z-]+)+$/);
    if (entry.severity === 'alert' && id !== 'engine.failed') assert.ok(entry.whatToDo !== '', id);
  }
});

test('an EntropyError carries its row of the table', () => {
  const error = new EntropyError('gate-closed', 'warming');
  assert.is(error.entry.exit, EXIT.gateClosed);
  assert.is(error.message, 'warming');
  assert.ok(isEntropyError(error));
  assert.ok(isEntropyError(error, 'usage', 'gate-closed'));
  assert.not.ok(isEntropyError(error, 'usage'));
  assert.not.ok(isEntropyError(new Error('gate-closed')));
});

test('names inherited from Object are no error codes', () => {
  assert.ok(isErrorCode('usage'));
  assert.not.ok(isErrorCode('toString'));
  assert.not.ok(isErrorCode('__proto__'));
});

test.run();
