import { scryptSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Accounts } from '../../src/state/accounts.ts';
import { PasswordHasher } from '../../src/state/password.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { SimulatedFiles } from '../durable/simulated-files.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const random = seededSource('accounts');
const CHEAP = { cost: { costLog2: 4, blockSize: 1, parallelism: 1 }, maximumWaiting: 2 };
const PASSWORD = Buffer.from('correct horse');

async function opened(files = new SimulatedFiles()) {
  const archive = await StateArchive.open(
    { mode: 'NONE' },
    { files, random, wrappings: [new NoneWrapping({ random })] },
  );
  return { files, archive, accounts: new Accounts({ archive, clock: new FakeClock() }) };
}

test('a password is kept as scrypt of RFC 7914 with a salt of its own', async () => {
  const hasher = new PasswordHasher(CHEAP, { random });
  const one = await hasher.hash(PASSWORD);
  const other = await hasher.hash(PASSWORD);
  assert.not.equal(one.salt, other.salt);
  assert.equal(one.hash, scryptSync(PASSWORD, one.salt, 32, { N: 16, r: 1, p: 1 }));
  assert.is(await hasher.matches(PASSWORD, one), true);
  assert.is(await hasher.matches(Buffer.from('correct horsf'), one), false);
});

test('the default cost fits its own memory limit', async () => {
  const { PASSWORD_HASHER_DEFAULTS } = await import('../../src/state/password.ts');
  const hasher = new PasswordHasher(PASSWORD_HASHER_DEFAULTS, { random });
  assert.is(await hasher.matches(PASSWORD, await hasher.hash(PASSWORD)), true);
});

test('nobody’s password is hashed like anybody’s, and never matches', async () => {
  const hasher = new PasswordHasher(CHEAP, { random });
  assert.is(await hasher.matches(PASSWORD, undefined), false);
});

test('one is hashed at a time, a few wait, and the next is told to come again', async () => {
  const hasher = new PasswordHasher(CHEAP, { random });
  const work = Array.from({ length: 4 }, () => hasher.hash(PASSWORD));
  await rejectsWith(work[3]!, 'credential-busy');
  await Promise.all(work.slice(0, 3));
  await hasher.hash(PASSWORD);
});

test('a password has 8 to 256 bytes and no control characters', async () => {
  const hasher = new PasswordHasher(CHEAP, { random });
  for (const bad of ['', '1234567', 'x'.repeat(257), 'eight\u0000888', 'eight\n8888', '\u007f2345678'])
    await rejectsWith(hasher.hash(Buffer.from(bad)), 'request-invalid');
  for (const good of ['12345678', 'x'.repeat(256), 'Schlüssel:乱数']) await hasher.hash(Buffer.from(good));
});

test('an account begins without access, and keeps role, password and feeder over a restart', async () => {
  const { accounts, archive, files } = await opened();
  const hasher = new PasswordHasher(CHEAP, { random });
  const password = await hasher.hash(PASSWORD);
  const choice = { description: 'for the QRNG', feeder: { id: 3, name: 'qrng' }, password };
  assert.is((await accounts.add('svc@lab.example', choice)).role, 'NoAccess');
  await accounts.change('svc@lab.example', { role: 'Admin' });
  await archive.close();
  const again = await opened(files);
  const account = again.accounts.find('svc@lab.example')!;
  assert.equal([account.role, account.feeder?.id, account.description], ['Admin', 3, 'for the QRNG']);
  assert.is(await hasher.matches(PASSWORD, account.password), true);
});

test('names are unique and have no colon; who is removed is unknown', async () => {
  const { accounts } = await opened();
  const choice = {
    description: '',
    feeder: undefined,
    password: await new PasswordHasher(CHEAP, { random }).hash(PASSWORD),
  };
  await accounts.add('a', choice);
  await rejectsWith(accounts.add('a', choice), 'account-exists');
  for (const bad of ['', 'a:b', '-a', 'a b', 'x'.repeat(65)])
    await rejectsWith(accounts.add(bad, choice), 'request-invalid');
  await accounts.remove('a');
  await rejectsWith(accounts.remove('a'), 'account-unknown');
  await rejectsWith(accounts.change('a', { role: 'Admin' }), 'account-unknown');
});

test('an account with a role or a hash that is none makes the document refused', async () => {
  const { accounts, archive } = await opened();
  const password = await new PasswordHasher(CHEAP, { random }).hash(PASSWORD);
  await accounts.add('a', { description: '', feeder: undefined, password });
  const document = JSON.parse(archive.document('accounts.json')!.toString()) as { records: object[] };
  const [record] = document.records as [{ password: object }];
  for (const change of [
    { role: 'Root' },
    { password: { ...record.password, costLog2: 40 } },
    { password: {} },
  ]) {
    const records = [{ ...record, ...change }];
    await archive.save('accounts.json', Buffer.from(JSON.stringify({ version: 1, records })));
    assert.is(new Accounts({ archive, clock: new FakeClock() }).refused?.code, 'state-damaged');
  }
});

test.run();
