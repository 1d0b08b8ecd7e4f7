import { randomFillSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { InjectOptions } from 'fastify';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { basic, VsphereBench } from './vsphere-bench.ts';

/** Whole conversations in the three forms, byte for byte: UPDATE_GOLDEN=1 writes them anew; read the difference. */

const GOLDEN = path.join(path.dirname(fileURLToPath(import.meta.url)), 'golden');
const POOL = 'vcenter/host/host-1/entropy/external-pool';

let bench: VsphereBench;
let transcript: string;

test.before.each(async () => {
  bench = await VsphereBench.open();
  transcript = '';
  await bench.account('qrng', 'Admin');
  await bench.account('reader', 'ReadOnly');
  await bench.account('nobody', 'NoAccess');
  await bench.account('feederless', 'Admin');
  await bench.feed.enroll('qrng');
});
test.after.each(async () => {
  await bench.close();
});

async function say(what: string, options: InjectOptions & { readonly shown?: string }): Promise<unknown> {
  const { shown, ...request } = options;
  const answer = await bench.request(request);
  const headers = ['content-type', 'www-authenticate', 'retry-after']
    .filter((name) => answer.headers[name] !== undefined)
    .map((name) => `< ${name}: ${String(answer.headers[name])}\n`);
  const body = shown ?? (typeof request.payload === 'object' ? JSON.stringify(request.payload) : '');
  const text = answer.body === '' ? '' : `${JSON.stringify(answer.json(), null, 2)}\n`;
  transcript += `# ${what}\n> ${String(request.method)} ${typeof request.url === 'string' ? request.url : ''}\n${body === '' ? '' : `> ${body}\n`}< ${answer.statusCode}\n${headers.join('')}${text}\n`;
  return answer.body === '' ? undefined : answer.json();
}

function assertGolden(name: string): void {
  const file = path.join(GOLDEN, `${name}.txt`);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, transcript);
  assert.fixture(transcript, readFileSync(file, 'utf8'));
}

function data(bytes: number): { readonly data: string } {
  return { data: randomFillSync(Buffer.alloc(bytes)).toString('base64') };
}

test('/api: log in, list hosts, read, add, add with surplus, log out; and each error with its body', async () => {
  const login = (user: string) => bench.token(user);
  const token = (await say('log in', {
    method: 'POST',
    url: '/api/session',
    headers: basic('qrng'),
  })) as string;
  const headers = { 'vmware-api-session-id': token };
  const get = { method: 'GET', headers } as const;
  await say('who am I', { ...get, url: '/api/session' });
  await say('hosts', { ...get, url: '/api/vcenter/host' });
  await say('hosts by name', { ...get, url: '/api/vcenter/host?names=other&names=esx1.example' });
  await say('hosts by another name', { ...get, url: '/api/vcenter/host?names=other' });
  await say('hosts of a cluster', { ...get, url: '/api/vcenter/host?clusters=domain-c1' });
  await say('read', { ...get, url: `/api/${POOL}` });
  const post = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' } } as const;
  const add = { ...post, url: `/api/${POOL}?action=add` };
  await say('add', { ...add, payload: data(100_000), shown: '{"data":"…100,000 bytes"}' });
  bench.setRoom(8_192);
  await say('add more than there is room for', {
    ...add,
    payload: data(65_536),
    shown: '{"data":"…65,536 bytes"}',
  });
  assert.is(bench.feed.counters.value('pool.bytes.dropped'), 65_536 - 8_192);
  await say('add nothing', { ...add, payload: { data: '' } });

  await say('no base64', { ...add, payload: { data: '!!!!' } });
  await say('no data', { ...add, payload: { bytes: 'AAAA' } });
  await say('no JSON', { ...add, payload: '{"data":' });
  await say('no body', { ...add });
  await say('another action', {
    ...post,
    url: `/api/${POOL}?action=remove`,
    payload: data(32),
    shown: '{"data":"…"}',
  });
  await say('another host', { ...get, url: `/api/${POOL.replace('host-1', 'host-2')}` });
  await say('another path', { ...get, url: '/api/vcenter/vm' });
  bench.setRoom(1024 * 1024);
  bench.feed.port.answer = () => ({ verdict: 'test-failed', memoryBytes: 0, storedBytes: 0 });
  await say('bytes that fail at the door', { ...add, payload: data(32), shown: '{"data":"…32 bytes"}' });

  const reader = { 'vmware-api-session-id': await login('reader') };
  await say('ReadOnly reads', { method: 'GET', url: `/api/${POOL}`, headers: reader });
  await say('ReadOnly adds', {
    ...add,
    headers: { ...post.headers, ...reader },
    payload: data(32),
    shown: '{"data":"…"}',
  });
  const nobody = { 'vmware-api-session-id': await login('nobody') };
  await say('NoAccess reads', { method: 'GET', url: `/api/${POOL}`, headers: nobody });
  const feederless = { 'vmware-api-session-id': await login('feederless') };
  await say('Admin without a feeder reads', { method: 'GET', url: `/api/${POOL}`, headers: feederless });
  await say('Admin without a feeder adds', {
    ...add,
    headers: { ...post.headers, ...feederless },
    payload: data(32),
    shown: '{"data":"…"}',
  });
  await bench.feed.enrolment.setState('qrng', 'disabled');
  await bench.feed.admission.dismiss(1, 'feeder-disabled', 'disabled');
  await say('a disabled feeder', { ...add, payload: data(32), shown: '{"data":"…"}' });
  bench.isEnabled = false;
  await say('read with bit 8 off', { ...get, url: `/api/${POOL}` });

  await say('log out', { method: 'DELETE', url: '/api/session', headers });
  await say('an ended session', { ...get, url: '/api/vcenter/host' });
  await say('no session', { method: 'GET', url: '/api/vcenter/host' });
  await say('a wrong password', {
    method: 'POST',
    url: '/api/session',
    headers: basic('qrng', 'wrong horse'),
  });
  await say('an unknown account', { method: 'POST', url: '/api/session', headers: basic('stranger') });
  await say('no credentials', { method: 'POST', url: '/api/session' });
  assertGolden('api');
});

test('/rest: the same, wrapped in value', async () => {
  const session = '/rest/com/vmware/cis/session';
  const json = { 'content-type': 'application/json' };
  const answer = await say('log in, as govmomi does', {
    method: 'POST',
    url: session,
    headers: { ...basic('qrng'), ...json },
  });
  const headers = { 'vmware-api-session-id': (answer as { value: string }).value };
  await say('who am I', { method: 'POST', url: `${session}?~action=get`, headers });
  await say('hosts', {
    method: 'GET',
    url: '/rest/vcenter/host?filter.names.1=esx1.example&filter.names.2=x',
    headers,
  });
  await say('read', { method: 'GET', url: `/rest/${POOL}`, headers });
  const add = { method: 'POST', url: `/rest/${POOL}?~action=add`, headers: { ...headers, ...json } } as const;
  await say('add', { ...add, payload: { spec: data(4_096) }, shown: '{"spec":{"data":"…4,096 bytes"}}' });
  await say('another host', { method: 'GET', url: `/rest/${POOL.replace('host-1', 'host-2')}`, headers });
  await say('log out', { method: 'DELETE', url: session, headers });
  await say('an ended session', { method: 'GET', url: `/rest/${POOL}`, headers });
  assertGolden('rest');
});

test('JSON-RPC: the same, as the SDKs speak it', async () => {
  const service = 'com.vmware.vcenter.host.entropy.external_pool';
  const invoke = (
    serviceId: string,
    operationId: string,
    securityCtx: object,
    fields: object = {},
    shown?: string,
  ) => {
    const input = { STRUCTURE: { 'operation-input': fields } };
    const params = { serviceId, operationId, input, ctx: { appCtx: { opId: 'op-1' }, securityCtx } };
    return say(`${serviceId} ${operationId}`, {
      method: 'POST',
      url: '/api',
      headers: { 'content-type': 'application/json' },
      payload: { jsonrpc: '2.0', method: 'invoke', id: '1', params },
      ...(shown === undefined ? {} : { shown }),
    });
  };
  const password = (userName: string, secret: string) => ({
    schemeId: 'com.vmware.vapi.std.security.user_pass',
    userName,
    password: secret,
  });
  const created = (await invoke('com.vmware.cis.session', 'create', password('qrng', 'correct horse'))) as {
    result: { output: { SECRET: string } };
  };
  const context = {
    schemeId: 'com.vmware.vapi.std.security.session_id',
    sessionId: created.result.output.SECRET,
  };
  await invoke('com.vmware.cis.session', 'get', context);
  await invoke('com.vmware.vcenter.host', 'list', context, { filter: { OPTIONAL: null } });
  const filter = { STRUCTURE: { 'com.vmware.vcenter.host.filter_spec': { names: { OPTIONAL: ['other'] } } } };
  await invoke('com.vmware.vcenter.host', 'list', context, { filter: { OPTIONAL: filter } });
  await invoke(service, 'get', context, { host: 'host-1' });
  const spec = (value: unknown) => ({ STRUCTURE: { [`${service}.add_spec`]: { data: value } } });
  const shown = '{… "data":{"BINARY":"…4,096 bytes"} …}';
  await invoke(service, 'add', context, { host: 'host-1', spec: spec({ BINARY: data(4_096).data }) }, shown);
  await invoke(
    service,
    'add',
    context,
    { host: 'host-1', spec: spec({ BINARY: '!' }) },
    '{… "data":{"BINARY":"!"} …}',
  );
  bench.isEnabled = false;
  await invoke(service, 'get', context, { host: 'host-1' });
  await invoke(service, 'get', context, { host: 'host-2' });
  await invoke(service, 'remove', context, { host: 'host-1' });
  await invoke('com.vmware.cis.session', 'delete', context);
  await invoke('com.vmware.vcenter.host', 'list', context);
  await invoke('com.vmware.cis.session', 'create', password('qrng', 'wrong horse'));
  const rpc = { method: 'POST', url: '/api', headers: { 'content-type': 'application/json' } } as const;
  await say('another method', { ...rpc, payload: { jsonrpc: '2.0', method: 'list', id: 7 } });
  await say('no JSON-RPC', { ...rpc, payload: [] });
  await say('no JSON', { ...rpc, payload: 'x' });
  assert.is(bench.feed.port.frames.length, 1, 'one frame came, and no plaintext is left of it');
  assertGolden('json-rpc');
});

test.run();
