import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TurnBatch } from '../../src/engine/turn-batch.ts';
import { FakeClock, settle } from '../fakes/fake-clock.ts';

function batch() {
  const posts: { messages: readonly string[]; transfer: readonly ArrayBuffer[] }[] = [];
  const messages = new TurnBatch<string>({
    clock: new FakeClock(),
    post: (gathered, transfer) => posts.push({ messages: gathered, transfer }),
  });
  return { messages, posts };
}

test('messages of one turn leave as one, in their order, with all their buffers', async () => {
  const { messages, posts } = batch();
  const [first, second] = [new ArrayBuffer(1), new ArrayBuffer(2)];
  messages.add('a', [first]);
  await Promise.resolve();
  messages.add('b');
  messages.add('c', [second]);
  assert.is(posts.length, 0);
  await settle();
  assert.equal(posts, [{ messages: ['a', 'b', 'c'], transfer: [first, second] }]);
});

test('what comes in a later turn leaves by itself', async () => {
  const { messages, posts } = batch();
  messages.add('a');
  await settle();
  messages.add('b');
  await settle();
  assert.equal(
    posts.map((post) => post.messages),
    [['a'], ['b']],
  );
});

test('a flush posts at once, and nothing twice', async () => {
  const { messages, posts } = batch();
  messages.add('a');
  messages.flush();
  messages.flush();
  assert.is(posts.length, 1);
  await settle();
  assert.is(posts.length, 1);
});

test.run();
