import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { basic, PASSWORD, VsphereBench } from './vsphere-bench.ts';

/** Sessions of the vSphere-shaped interface: how many, how long, and what ends them. */

let bench: VsphereBench;

test.before.each(async () => {
  const sessions = { maximum: 4, maximumPerAccount: 2, idleSeconds: 100, lifetimeSeconds: 250 };
  bench = await VsphereBench.open({ sessions });
  await bench.account('a', 'Admin');
});
test.after.each(async () => {
  await bench.close();
});

async function isGood(token: string): Promise<boolean> {
  const headers = { 'vmware-api-session-id': token };
  return (await bench.request({ method: 'GET', url: '/api/session', headers })).statusCode === 200;
}

test('a session ends when it was idle so long, and after its lifetime however busy it is', async () => {
  const idle = await bench.token('a');
  await bench.feed.clock.advance(99_999);
  assert.ok(await isGood(idle));
  await bench.feed.clock.advance(100_000);
  assert.not(await isGood(idle));
  const busy = await bench.token('a');
  for (let asked = 0; asked < 4; asked++) {
    await bench.feed.clock.advance(62_000);
    assert.ok(await isGood(busy));
  }
  await bench.feed.clock.advance(2_000);
  assert.not(await isGood(busy));
});

test('one more session of an account takes the place of that which was used longest ago; in all there are so many', async () => {
  const [first, second] = [await bench.token('a'), await bench.token('a')];
  assert.ok(await isGood(first));
  const third = await bench.token('a');
  assert.equal([await isGood(first), await isGood(second), await isGood(third)], [true, false, true]);
  await bench.account('b', 'Admin');
  await bench.account('c', 'Admin');
  for (const name of ['b', 'b']) await bench.token(name);
  const full = await bench.request({ method: 'POST', url: '/api/session', headers: basic('c') });
  assert.equal(
    [full.statusCode, full.json<{ error_type: string }>().error_type],
    [503, 'SERVICE_UNAVAILABLE'],
  );
});

test('wrong ids of sessions are counted, told and limited as wrong tokens are; none at all is no guess', async () => {
  const ask = async (headers: Record<string, string>) =>
    (await bench.request({ method: 'GET', url: '/api/session', headers })).statusCode;
  for (let n = 0; n < 30; n++) assert.is(await ask({}), 401);
  assert.is(bench.feed.counters.value('credentials.refused'), 0);
  for (let n = 0; n < 20; n++) assert.is(await ask({ 'vmware-api-session-id': `guess ${n}` }), 401);
  assert.is(await ask({ 'vmware-api-session-id': 'one more' }), 503);
  assert.is(bench.feed.counters.value('credentials.refused'), 21);
  assert.ok(bench.credentials.events.since(0).records.some(({ id }) => id === 'credential.refused'));
});

test('who logs in for each request with the right password is never kept waiting', async () => {
  for (let n = 0; n < 30; n++) await bench.token('a');
});

test('another password, another role and removal are in force at the next request', async () => {
  const token = await bench.token('a');
  const headers = { 'vmware-api-session-id': token };
  const url = '/api/vcenter/host/host-1/entropy/external-pool';
  await bench.accounts.change('a', { role: 'NoAccess' });
  assert.is((await bench.request({ method: 'GET', url, headers })).statusCode, 403);
  await bench.accounts.change('a', { password: { ...bench.accounts.find('a')!.password } });
  assert.not(await isGood(token));
  const next = await bench.token('a');
  await bench.accounts.remove('a');
  assert.not(await isGood(next));
});

test('passwords that are tried are counted: after twenty from one address it is told to wait', async () => {
  const wrong = { method: 'POST', url: '/api/session', headers: basic('a', 'wrong horse') } as const;
  for (let tried = 0; tried < 20; tried++) assert.is((await bench.request(wrong)).statusCode, 401);
  const refused = await bench.request({ ...wrong, headers: basic('a', PASSWORD) });
  assert.is(refused.statusCode, 503);
  assert.is(refused.headers['retry-after'], '6');
});

test('a body that is too large is refused, and nobody who may not add has his read', async () => {
  await bench.feed.enroll('a');
  const token = await bench.token('a');
  const url = '/api/vcenter/host/host-1/entropy/external-pool?action=add';
  const payload = Buffer.alloc(8 * 1024 * 1024 + 1, 0x20);
  const headers = { 'content-type': 'application/json', 'vmware-api-session-id': token };
  const large = await bench.request({ method: 'POST', url, headers, payload });
  assert.equal([large.statusCode, large.json<{ error_type: string }>().error_type], [400, 'INVALID_REQUEST']);
  const stranger = { ...headers, 'vmware-api-session-id': 'x' };
  assert.is((await bench.request({ method: 'POST', url, headers: stranger, payload })).statusCode, 401);
});

test.run();
