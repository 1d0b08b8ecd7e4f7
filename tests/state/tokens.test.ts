import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { MAXIMUM_TOKENS, Tokens, type TokenChoice } from '../../src/state/tokens.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith, throwsWith } from '../rejects.ts';

const random = seededSource('tokens');
const OBSERVE: TokenChoice = { scopes: ['observe'], expiresSeconds: undefined, feeder: undefined };

async function opened(files = new SimulatedFiles()) {
  const archive = await StateArchive.open(
    { mode: 'NONE' },
    { files, random, wrappings: [new NoneWrapping({ random })] },
  );
  const clock = new FakeClock();
  return { files, archive, clock, tokens: new Tokens({ archive, random, clock }) };
}

/** A line as it stands in a file, without its end. */
function secretOf(text: Buffer): Buffer {
  return text.subarray(0, -1);
}

test('a token is 256 random bits in one line of base64url', async () => {
  const { tokens } = await opened();
  const { text } = await tokens.create('a', OBSERVE);
  assert.match(text.toString(), /^emt_[A-Za-z0-9_-]{43}\n$/);
  const other = await tokens.create('b', OBSERVE);
  assert.not.equal(other.text, text);
});

test('the digits are those that node makes of the same bytes', async () => {
  const fixed = Buffer.from(createHash('sha256').update('any bytes').digest());
  const { archive, clock } = await opened();
  const tokens = new Tokens({ archive, clock, random: (target) => target.set(fixed) });
  const { text } = await tokens.create('a', OBSERVE);
  assert.is(text.toString(), `emt_${fixed.toString('base64url')}\n`);
});

test('a token is found by its text, and nothing else is', async () => {
  const { tokens, clock } = await opened();
  const { record, text } = await tokens.create('a', OBSERVE);
  await tokens.create('b', OBSERVE);
  assert.is(tokens.lastUsedMs('a'), null);
  assert.is(tokens.find(secretOf(text)), record);
  assert.is(tokens.lastUsedMs('a'), clock.wallMs());
  const wrong = Buffer.from(secretOf(text));
  wrong.writeUInt8(wrong.readUInt8(10) ^ 1, 10);
  for (const bytes of [wrong, text, secretOf(text).subarray(0, -1), Buffer.alloc(0), record.digest])
    assert.is(tokens.find(bytes), undefined);
});

test('the archive holds a digest and not the token, and the token is good after a restart', async () => {
  const { tokens, archive, files } = await opened();
  const { text } = await tokens.create('a', { ...OBSERVE, scopes: ['observe', 'random'] });
  const document = archive.document('tokens.json')!.toString();
  assert.not.match(document, secretOf(text).toString());
  assert.not.match(document, secretOf(text).toString('hex'));
  const digest = createHash('sha256').update('entropy-mixer token v1\0').update(secretOf(text)).digest('hex');
  assert.match(document, digest);
  await archive.close();
  const again = await opened(files);
  assert.equal(again.tokens.find(secretOf(text))?.scopes, ['observe', 'random']);
});

test('it expires at the second that was asked for', async () => {
  const { tokens, clock } = await opened();
  const { record } = await tokens.create('a', { ...OBSERVE, expiresSeconds: 60 });
  await clock.advance(59_999);
  assert.is(tokens.isExpired(record), false);
  await clock.advance(1);
  assert.is(tokens.isExpired(record), true);
});

test('a revoked one is unknown, and its name free again', async () => {
  const { tokens } = await opened();
  const { text } = await tokens.create('a', OBSERVE);
  await rejectsWith(tokens.create('a', OBSERVE), 'token-exists');
  assert.ok(tokens.holds(tokens.find(secretOf(text))!));
  const record = await tokens.revoke('a');
  assert.not.ok(tokens.holds(record));
  assert.is(tokens.find(secretOf(text)), undefined);
  await rejectsWith(tokens.revoke('a'), 'token-unknown');
  await tokens.create('a', OBSERVE);
});

test('the right to write is a feeder’s, and a feeder has no other use for one', async () => {
  const { tokens, archive, files } = await opened();
  const feeder = { id: 7, name: 'hsm' };
  await rejectsWith(tokens.create('a', { ...OBSERVE, scopes: ['external.write'] }), 'request-invalid');
  await rejectsWith(tokens.create('a', { ...OBSERVE, feeder }), 'request-invalid');
  await rejectsWith(tokens.create('A', OBSERVE), 'request-invalid');
  await tokens.create('a', { ...OBSERVE, scopes: ['external.write'], feeder });
  await archive.close();
  assert.equal((await opened(files)).tokens.list()[0]?.feeder, feeder);
});

test('there are 256 at most', async () => {
  const { tokens } = await opened();
  await Promise.all(Array.from({ length: MAXIMUM_TOKENS }, (_, at) => tokens.create(`t${at}`, OBSERVE)));
  await rejectsWith(tokens.create('more', OBSERVE), 'token-limit');
  await tokens.revoke('t0');
  await tokens.create('more', OBSERVE);
});

test('a document that is not a list of tokens is refused whole, and then nobody is known', async () => {
  const { tokens: good, archive } = await opened();
  await good.create('a', OBSERVE);
  const document = JSON.parse(archive.document('tokens.json')!.toString()) as { records: object[] };
  const [record] = document.records;
  for (const records of [
    [{ ...record, scopes: ['all'] }],
    [{ ...record, scopes: ['external.write'] }],
    [{ ...record, digest: 'ab' }],
    [{ ...record, expiresMs: '1' }],
    [{ ...record, feeder: {} }],
    [record, record],
    'none',
  ]) {
    await archive.save('tokens.json', Buffer.from(JSON.stringify({ version: 1, records })));
    const tokens = new Tokens({ archive, random, clock: new FakeClock() });
    throwsWith(() => tokens.find(Buffer.from('x')), 'state-damaged');
    await rejectsWith(tokens.create('b', OBSERVE), 'state-damaged');
  }
  await archive.save('tokens.json', Buffer.from('{"version":2}'));
  const newer = new Tokens({ archive, random, clock: new FakeClock() });
  throwsWith(() => newer.find(Buffer.from('x')), 'state-version-newer');
});

test.run();
