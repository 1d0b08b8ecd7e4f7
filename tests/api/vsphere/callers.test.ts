import type { InjectOptions } from 'fastify';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { count } from '../../counts.ts';
import { basic, VsphereBench } from './vsphere-bench.ts';

/** Who may call what of the vSphere-shaped interface, and that no call whatever does it harm. */

const POOL = '/vcenter/host/host-1/entropy/external-pool';
const BODY = { data: Buffer.alloc(32, 1).toString('base64') };
interface Operation {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly payload?: object;
}

interface Guarded {
  readonly needs: 'session' | 'read' | 'write';
  readonly operation: Operation;
}

const OPERATIONS: readonly Guarded[] = ['/api', '/rest'].flatMap((prefix) => {
  const session = prefix === '/api' ? '/api/session' : '/rest/com/vmware/cis/session';
  return [
    { needs: 'session', operation: { method: 'GET', url: session } },
    { needs: 'session', operation: { method: 'GET', url: `${prefix}/vcenter/host` } },
    { needs: 'read', operation: { method: 'GET', url: prefix + POOL } },
    { needs: 'write', operation: { method: 'POST', url: `${prefix}${POOL}?action=add`, payload: BODY } },
    { needs: 'session', operation: { method: 'DELETE', url: session } },
  ] as const;
});
/** Statuses by what an operation needs. */
const EXPECTED = {
  Admin: { session: [200, 204], read: [200], write: [200] },
  ReadOnly: { session: [200, 204], read: [200], write: [403] },
  NoAccess: { session: [200, 204], read: [403], write: [403] },
} as const;

let bench: VsphereBench;

test.before.each(async () => {
  bench = await VsphereBench.open();
});
test.after.each(async () => {
  await bench.close();
});

for (const role of ['Admin', 'ReadOnly', 'NoAccess'] as const) {
  test(`each operation with a session of ${role}, and after that has ended`, async () => {
    await bench.account('a', role);
    await bench.feed.enroll('a');
    for (const { needs, operation } of OPERATIONS) {
      const headers = { 'vmware-api-session-id': await bench.token('a') };
      const { statusCode } = await bench.request({ ...operation, headers });
      const expected: readonly number[] = EXPECTED[role][needs];
      assert.ok(expected.includes(statusCode), `${operation.method} ${operation.url}: ${statusCode}`);
      await bench.feed.clock.advance(1_800_000);
      assert.is((await bench.request({ ...operation, headers })).statusCode, 401);
    }
  });
}

test('each operation without a session, with a wrong one, and with a password in its place is refused', async () => {
  await bench.account('a', 'Admin');
  await bench.feed.enroll('a');
  for (const { operation } of OPERATIONS) {
    for (const headers of [
      {},
      { 'vmware-api-session-id': '0'.repeat(64) },
      basic('a'),
      { authorization: 'Bearer x' },
    ])
      assert.is((await bench.request({ ...operation, headers })).statusCode, 401, operation.url);
    await bench.feed.clock.advance(60_000);
  }
  assert.is(bench.feed.port.frames.length, 0);
});

test(`${count(500, 20_000)} random calls leave the interface as it was`, async () => {
  await bench.account('a', 'Admin');
  const headers = { 'vmware-api-session-id': await bench.token('a') };
  const one = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)]!;
  const noise = (): string =>
    String.fromCharCode(...Array.from({ length: 12 }, () => one([34, 92, 123, 91, 58, 65, 0, 233])));
  const told = new Set([200, 201, 204, 400, 401, 403, 404, 500, 503]);
  for (let call = 0; call < count(500, 20_000); call++) {
    const rpc = {
      serviceId: one(['com.vmware.cis.session', noise()]),
      operationId: one(['get', 'create', noise()]),
      input: one([{}, [], noise(), null]),
    };
    const request: InjectOptions = {
      method: one(['GET', 'POST', 'DELETE', 'PATCH']),
      url: one([
        ...OPERATIONS.map(({ operation }) => operation.url),
        '/api',
        `/api${POOL}?action=${encodeURIComponent(noise())}`,
        `/rest/${encodeURIComponent(noise())}`,
      ]),
      headers: {
        ...one([headers, {}, { 'vmware-api-session-id': 'x' }]),
        'content-type': one(['application/json', 'text/plain', 'x']),
      },
      payload: one([
        '',
        '[',
        '{"data":"QUJD"}',
        `{"data":"${noise()}"}`,
        '['.repeat(100_000),
        noise(),
        JSON.stringify({ jsonrpc: '2.0', method: 'invoke', params: rpc, id: 1 }),
      ]),
    };
    if (request.method === 'DELETE') request.headers = {};
    const { statusCode, body } = await bench.request(request);
    assert.ok(told.has(statusCode), `${statusCode} ${JSON.stringify(request)}`);
    assert.not(body.includes('INTERNAL_SERVER_ERROR'), JSON.stringify(request));
    if (call % 100 === 0) await bench.feed.clock.advance(10_000);
  }
  assert.is((await bench.request({ method: 'GET', url: `/api${POOL}`, headers })).statusCode, 200);
});

test.run();
