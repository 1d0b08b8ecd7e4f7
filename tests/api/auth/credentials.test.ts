import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AttemptLimit } from '../../../src/api/auth/attempt-limit.ts';
import { CREDENTIAL_LIMITS, CredentialRefusals } from '../../../src/api/auth/credential-refusals.ts';
import { basicCredentials, PasswordCheck } from '../../../src/api/auth/password-check.ts';
import { isAllZero } from '../../../src/base/bytes.ts';
import { Counters } from '../../../src/base/counters.ts';
import { isEntropyError } from '../../../src/base/errors.ts';
import { EventBus } from '../../../src/base/events.ts';
import { Accounts } from '../../../src/state/accounts.ts';
import { PasswordHasher } from '../../../src/state/password.ts';
import { NoneWrapping } from '../../../src/state/root-key.ts';
import { StateArchive } from '../../../src/state/state-archive.ts';
import { SimulatedFiles } from '../../durable/simulated-files.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';
import { seededSource } from '../../fakes/seeded-stream.ts';
import { rejectsWith } from '../../rejects.ts';

const random = seededSource('credentials');
const LIMITS = {
  perAddress: { perSecond: 0.5, burst: 3 },
  overall: { perSecond: 1, burst: 5 },
  maximumAddresses: 4,
};

test('an address has its tries, and gets another when its time has come', async () => {
  const clock = new FakeClock();
  const limit = new AttemptLimit(LIMITS, { clock });
  for (let tries = 0; tries < 3; tries++) assert.is(limit.take('192.0.2.1'), 0);
  assert.is(limit.take('192.0.2.1'), 2_000);
  assert.is(limit.take('192.0.2.2'), 0);
  await clock.advance(1_999);
  assert.is(limit.take('192.0.2.1'), 1);
  await clock.advance(1);
  assert.is(limit.take('192.0.2.1'), 0);
});

test('all together have theirs, and a waiting address costs the others none', () => {
  const clock = new FakeClock();
  const limit = new AttemptLimit(LIMITS, { clock });
  for (let tries = 0; tries < 10; tries++) limit.take('192.0.2.1');
  assert.equal([limit.take('192.0.2.2'), limit.take('192.0.2.2')], [0, 0]);
  assert.is(limit.take('192.0.2.3'), 1_000);
});

test('the table of addresses is bounded; whoever tried last is remembered', () => {
  const limit = new AttemptLimit(
    { ...LIMITS, overall: { perSecond: 1, burst: 1e6 } },
    { clock: new FakeClock() },
  );
  for (let host = 0; host < 1_000; host++) {
    for (let tries = 0; tries < 3; tries++) limit.take('192.0.2.9');
    limit.take(`198.51.100.${host}`);
  }
  assert.is(limit.addresses, 4);
  assert.ok(limit.take('192.0.2.9') > 0);
});

test('one IPv6 network is one address, and a mapped IPv4 address is that address', () => {
  const limit = new AttemptLimit(
    { ...LIMITS, overall: { perSecond: 1, burst: 100 } },
    { clock: new FakeClock() },
  );
  const isOne = (a: string, b: string): boolean => {
    while (limit.take(a) === 0);
    return limit.take(b) > 0;
  };
  assert.ok(isOne('2001:db8:0:1::1', '2001:db8:0:1:ffff::2'));
  assert.ok(isOne('2001:db8::1', '2001:db8::2'));
  assert.not.ok(isOne('2001:db8:0:1::1', '2001:db8:0:2::1'));
  assert.ok(isOne('::ffff:192.0.2.7', '192.0.2.7'));
  assert.ok(isOne('fe80::1%eth0', 'fe80::2%eth0'));
});

test('wrong tokens are counted, told a few times, and answered 429 in the end', () => {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 100 }, { clock, counters });
  const refusals = new CredentialRefusals(CREDENTIAL_LIMITS, { events, counters, clock });
  const codes = Array.from(
    { length: 30 },
    () => refusals.ofToken({ code: 'credential-wrong', detail: 'x', address: '192.0.2.1' }).code,
  );
  assert.equal(
    codes.map((code) => code === 'credential-wrong'),
    codes.map((_, at) => at < 20),
  );
  const last = refusals.ofToken({ code: 'credential-wrong', detail: 'x', address: '192.0.2.1' });
  assert.equal([last.code, last.members.retryAfterSeconds], ['credential-rate-exceeded', 6]);
  assert.is(counters.value('credentials.refused'), 31);
  const told = events.since(0).records;
  assert.is(told.length, 10);
  assert.equal(told[0]?.detail, { credential: 'token', code: 'credential-wrong', address: '192.0.2.1' });
});

test('Basic credentials: a name up to the first colon, then bytes', () => {
  const of = (text: string): unknown => {
    const found = basicCredentials(`Basic ${Buffer.from(text).toString('base64')}`);
    return found && [found.name, found.password.toString()];
  };
  assert.equal(of('svc:pass:word'), ['svc', 'pass:word']);
  assert.equal(of('svc:Schlüssel'), ['svc', 'Schlüssel']);
  assert.equal(of(':'), ['', '']);
  assert.is(of('nothing'), undefined);
  for (const header of [undefined, '', 'Basic', 'Basic !', 'Bearer eDp5', 'Basic eDp5 x'])
    assert.is(basicCredentials(header), undefined);
  assert.equal(basicCredentials('bASIC eDp5')?.name, 'x');
});

async function passwordBench() {
  const clock = new FakeClock();
  const counters = new Counters();
  const events = new EventBus({ capacity: 100 }, { clock, counters });
  const archive = await StateArchive.open(
    { mode: 'NONE' },
    { files: new SimulatedFiles(), random, wrappings: [new NoneWrapping({ random })] },
  );
  const accounts = new Accounts({ archive, clock });
  const options = { cost: { costLog2: 4, blockSize: 1, parallelism: 1 }, maximumWaiting: 8 };
  const passwords = new PasswordHasher(options, { random });
  const choice = {
    description: '',
    feeder: undefined,
    password: await passwords.hash(Buffer.from('password')),
  };
  await accounts.add('svc', choice);
  const refusals = new CredentialRefusals(LIMITS, { events, counters, clock });
  const check = new PasswordCheck({ accounts, passwords, refusals });
  const login = (name: string, password: string, address = '192.0.2.1') =>
    check.account({ name, password: Buffer.from(password) }, address);
  return { clock, accounts, passwords, refusals, events, check, login };
}

test('an account is known by its password; unknown and wrong are the same to the caller', async () => {
  const { login, events } = await passwordBench();
  assert.is((await login('svc', 'password')).name, 'svc');
  const wrong = await rejectsWith(login('svc', 'passwort'), 'credential-wrong');
  const unknown = await rejectsWith(login('nobody', 'password', '192.0.2.2'), 'credential-wrong');
  assert.is(wrong.message, unknown.message);
  assert.equal(
    events.since(0).records.map(({ detail }) => [detail.credential, detail.account, detail.address]),
    [
      ['password', 'svc', '192.0.2.1'],
      ['password', 'nobody', '192.0.2.2'],
    ],
  );
});

test('after too many tries not even the right password is looked at, until its time has come', async () => {
  const { login, clock } = await passwordBench();
  for (let tries = 0; tries < 3; tries++) await rejectsWith(login('svc', 'passwort'), 'credential-wrong');
  const refused = await rejectsWith(login('svc', 'password'), 'credential-rate-exceeded');
  assert.ok(isEntropyError(refused));
  assert.is(refused.members.retryAfterSeconds, 2);
  await clock.advance(2_000);
  assert.is((await login('svc', 'password')).name, 'svc');
});

test('an account that is removed or changed while its password is hashed is not let in', async () => {
  const { accounts, passwords, refusals } = await passwordBench();
  const other = await passwords.hash(Buffer.from('another one'));
  for (const change of [() => accounts.change('svc', { password: other }), () => accounts.remove('svc')]) {
    const matches = async (): Promise<boolean> => {
      await change();
      return true;
    };
    const check = new PasswordCheck({ accounts, passwords: { matches }, refusals });
    const login = check.account({ name: 'svc', password: Buffer.from('password') }, '192.0.2.1');
    await rejectsWith(login, 'credential-wrong');
  }
});

test('the password is wiped, whatever came of it', async () => {
  const { check } = await passwordBench();
  for (const text of ['password', 'passwort']) {
    const password = Buffer.from(text);
    await check.account({ name: 'svc', password }, '192.0.2.1').catch(() => undefined);
    assert.ok(isAllZero(password));
  }
});

test.run();
