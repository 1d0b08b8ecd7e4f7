import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ReceiptStore } from '../../src/service/receipt-store.ts';

function texts(records: readonly Buffer[]): string[] {
  return records.map((record) => record.toString());
}

test('receipts are found from a sequence on, oldest first, at most so many', () => {
  const store = new ReceiptStore({ capacity: 10 });
  for (const sequence of [2, 3, 7]) store.keep(1, sequence, Buffer.from(`a${sequence}`));
  store.keep(2, 1, Buffer.from('b1'));
  assert.equal(texts(store.from(1, 1, 10)), ['a2', 'a3', 'a7']);
  assert.equal(texts(store.from(1, 3, 10)), ['a3', 'a7']);
  assert.equal(texts(store.from(1, 4, 1)), ['a7']);
  assert.equal(texts(store.from(1, 8, 10)), []);
  assert.equal(texts(store.from(3, 1, 10)), []);
  assert.equal([store.last(1)?.toString(), store.last(3)], ['a7', undefined]);
});

test('the end of a session comes with the last receipt before it, also as one more than was asked for', () => {
  const store = new ReceiptStore({ capacity: 10 });
  store.keep(1, 1, Buffer.from('1'));
  store.keep(1, 2, Buffer.from('2'));
  store.keep(1, 2, Buffer.from('end'));
  store.keep(1, 3, Buffer.from('3'));
  assert.equal(texts(store.from(1, 1, 2)), ['1', '2', 'end']);
  assert.equal(texts(store.from(1, 1, 1)), ['1']);
  assert.equal(texts(store.from(1, 3, 200)), ['3']);
});

test('an answer never holds more than 200: there a frame and the end of its session both wait for the next', () => {
  const store = new ReceiptStore({ capacity: 500 });
  for (let sequence = 1; sequence <= 200; sequence++) store.keep(1, sequence, Buffer.from(`${sequence}`));
  store.keep(1, 200, Buffer.from('end'));
  assert.equal(texts(store.from(1, 1, 200)).slice(-1), ['199']);
  assert.equal(texts(store.from(1, 200, 200)), ['200', 'end']);
  assert.equal(texts(store.from(1, 1, 199)).length, 199);
  assert.equal(texts(store.from(1, 2, 199)).slice(-2), ['200', 'end']);
  assert.is(store.from(1, 2, 199).length, 200);
});

test('the oldest of all feeders are forgotten first', () => {
  const store = new ReceiptStore({ capacity: 3 });
  store.keep(1, 1, Buffer.from('a1'));
  store.keep(2, 1, Buffer.from('b1'));
  store.keep(1, 2, Buffer.from('a2'));
  store.keep(2, 2, Buffer.from('b2'));
  assert.equal([texts(store.from(1, 1, 9)), texts(store.from(2, 1, 9))], [['a2'], ['b1', 'b2']]);
  for (let sequence = 3; sequence < 6; sequence++) store.keep(2, sequence, Buffer.from(`b${sequence}`));
  assert.equal([store.last(1), texts(store.from(2, 1, 9))], [undefined, ['b3', 'b4', 'b5']]);
});

test.run();
