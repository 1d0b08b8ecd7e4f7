import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TSchema } from 'typebox';
import { Check } from 'typebox/schema';
import { Authenticator } from '../../src/api/auth/authenticator.ts';
import { Peers } from '../../src/api/peers.ts';
import type { ControlApp } from '../../src/api/control-app.ts';
import { buildServer } from '../../src/api/server.ts';
import { EntropyError } from '../../src/base/errors.ts';
import type { EventPageReport } from '../../src/contract/outputs.ts';
import { BytesSchema } from '../../src/contract/route.ts';
import { ACCESS_RULES } from '../../src/contract/route-access.ts';
import { ROUTE_NAMES, ROUTES, type RouteName } from '../../src/contract/routes.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { fakeCredentials } from './credentials-fake.ts';
import { REQUESTS } from './route-requests.ts';
import { assertProblem, bench } from './routes-bench.ts';

function send(app: ControlApp, name: RouteName) {
  return app.inject({ method: ROUTES[name].method, ...REQUESTS[name] });
}

function memberOf(answer: { json: () => unknown }, name: string): string {
  return String(Reflect.get(answer.json() as object, name));
}

function recordsOf(answer: { json: () => unknown }): number {
  return (answer.json() as EventPageReport).records.length;
}

test('each route lets exactly those in whom the table lets in', async () => {
  const ranks: Record<string, number> = { none: 0, read: 1, change: 2 };
  for (const access of ['none', 'read', 'change'] as const) {
    const { app, service } = bench(access);
    for (const name of ROUTE_NAMES) {
      const answer = await send(app, name);
      if (ROUTES[name].access === 'external.write') {
        assertProblem(answer, 'credential-missing');
        continue;
      }
      const allowed = ranks[access]! >= ranks[ACCESS_RULES[ROUTES[name].access].peer]!;
      if (allowed) assert.is.not(answer.statusCode, 403, `${name} ${access}`);
      else assertProblem(answer, 'permission-denied');
    }
    if (access === 'none')
      assert.equal(
        service.calls.map((call) => call.name),
        ['ready'],
      );
    if (access === 'read') {
      const changing = /test|restore|override|change|enroll|rotate|able|revoke|create|add|set|remove/i;
      assert.ok(service.calls.every((call) => !changing.test(call.name)));
      assert.equal(service.recovery.calls, [], 'the key is shown to nobody who may only read');
    }
  }
});

test('a route that does not say who may use it is used by nobody', async () => {
  const { app } = bench('change');
  let answered = 0;
  app.get('/forgotten', () => answered++);
  assertProblem(await app.inject({ method: 'GET', url: '/forgotten' }), 'internal');
  assert.is(answered, 0);
});

test('who was never introduced is nobody', async () => {
  const { service, counters } = bench();
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  };
  const authenticator = new Authenticator({
    ...fakeCredentials(new FakeClock(), counters),
    peers: new Peers(),
  });
  const app = buildServer({ openApiFile: undefined }, { service, authenticator, counters, log });
  assertProblem(await send(app, 'status'), 'credential-missing');
});

test('each answer fits the schema of its route', async () => {
  const { app } = bench();
  const withToken = (name: RouteName): boolean => ROUTES[name].access === 'external.write';
  for (const name of ROUTE_NAMES.filter(
    (each) => each !== 'eventStream' && each !== 'openApi' && !withToken(each),
  )) {
    const answer = await send(app, name);
    assert.is(answer.statusCode, 200, name);
    const schema: TSchema = ROUTES[name].schema.response[200];
    if (schema === BytesSchema) assert.is(answer.headers['content-type'], 'application/octet-stream', name);
    else assert.ok(Check(schema, answer.json()), `${name} ${answer.payload}`);
    assert.is(answer.headers['cache-control'], 'no-store');
  }
});

test('readiness is 200, or 503 with the reason of the closed gate', async () => {
  const { app, service } = bench('none');
  assert.is((await send(app, 'ready')).statusCode, 200);
  service.readiness = { ready: false, reason: 'credit-starved' };
  const answer = await send(app, 'ready');
  assertProblem(answer, 'gate-closed');
  assert.is(memberOf(answer, 'reason'), 'credit-starved');
  service.readiness = { ready: false, reason: 'overridden' };
  const overridden = await send(app, 'ready');
  assertProblem(overridden, 'gate-closed');
  assert.is(memberOf(overridden, 'reason'), 'overridden');
  assert.match(memberOf(overridden, 'detail'), 'not from the sources that the policy asks for');
});

test('handlers get what was asked: defaults, numbers, the body, and who asked', async () => {
  const { app, service } = bench();
  const peer = { name: 'uid 7, pid 8', access: 'change' };
  await app.inject('/v1/ledger');
  await app.inject('/v1/ledger?limit=4096');
  await app.inject('/v1/events?after=2&limit=1');
  await send(app, 'restoreSource');
  await send(app, 'overrideGate');
  await send(app, 'restoreGate');
  await send(app, 'changeConfiguration');
  assert.equal(
    service.calls.filter(({ name }) => name !== 'configuration'),
    [
      { name: 'ledger', given: [20] },
      { name: 'ledger', given: [4096] },
      { name: 'events', given: [2, 1] },
      { name: 'restoreSource', given: ['rdseed', 'cable was loose', peer] },
      { name: 'overrideGate', given: [{ mask: 4, seconds: 600, reason: 'HSM moved' }, peer] },
      { name: 'restoreGate', given: [peer] },
      { name: 'changeConfiguration', given: [{ feedBytes: 128 }, peer] },
    ],
  );
});

test('what does not fit a schema is refused with the field, and never reaches the service', async () => {
  const { app, service } = bench();
  const refused: [string, string][] = [
    ['/v1/ledger?limit=0', 'query/limit'],
    ['/v1/ledger?limit=4097', 'query/limit'],
    ['/v1/ledger?limit=1.5', 'query/limit'],
    ['/v1/ledger?limit=1e2', 'query/limit'],
    ['/v1/ledger?limit=%2B1', 'query/limit'],
    ['/v1/ledger?limit=', 'query/limit'],
    ['/v1/ledger?limit=1&limit=2', 'query/limit'],
    ['/v1/ledger?limits=1', 'limits'],
    ['/v1/ledger?__proto__=1', '__proto__'],
    ['/v1/events?after=-1', 'query/after'],
    ['/v1/events?after=9007199254740992', 'query/after'],
    ['/v1/status?x', 'x'],
  ];
  for (const [url, field] of refused) {
    const answer = await app.inject(url);
    assertProblem(answer, 'request-invalid');
    assert.match(memberOf(answer, 'detail'), field, url);
  }
  assert.equal(service.calls, []);
});

test('bodies that are too much, of another type, broken, poisoned or unasked for are refused', async () => {
  const { app, service } = bench();
  const json = { 'content-type': 'application/json' };
  const restore = (payload: string, headers: Record<string, string> = json) =>
    app.inject({ method: 'POST', url: '/v1/sources/rdseed/restore', payload, headers });
  const mebibyte = JSON.stringify({ reason: 'x'.repeat(2 ** 20) });
  assertProblem(await restore(mebibyte), 'payload-too-large');
  assertProblem(await restore('x'.repeat(65_537)), 'payload-too-large');
  assertProblem(await restore('{"reason":"x"}', { 'content-type': 'text/plain' }), 'media-type-unsupported');
  assertProblem(await restore('{"reason":"x"}', {}), 'media-type-unsupported');
  assertProblem(await restore('{"reason":'), 'request-invalid');
  assertProblem(await restore('{"reason":"x","__proto__":{"reason":"y"}}'), 'request-invalid');
  assertProblem(await restore('{"reason":"x","constructor":{"prototype":{}}}'), 'request-invalid');
  for (const body of [
    '{}',
    '[]',
    'null',
    '""',
    '{"reason":7}',
    '{"reason":""}',
    '{"reason":"x","more":1}',
    '',
  ]) {
    assertProblem(await restore(body), 'request-invalid');
  }
  const unasked = await app.inject({ method: 'POST', url: '/v1/selftest', payload: {} });
  assertProblem(unasked, 'request-invalid');
  assert.equal(service.calls, []);
});

test('the configuration store judges a change, and says key, value and range', async () => {
  const { app } = bench();
  const change = (payload: object) => app.inject({ method: 'PATCH', url: '/v1/config', payload });
  const range = await change({ feedBytes: 31 });
  assertProblem(range, 'parameter-invalid');
  assert.match(memberOf(range, 'detail'), /feedBytes = 31 .* 32 to 4096/);
  assertProblem(await change({ feedBites: 64 }), 'parameter-unknown');
  assert.is((await change({ feedBytes: null })).statusCode, 200);
});

test('an unknown path, method or source is told as such', async () => {
  const { app } = bench('none');
  assertProblem(await app.inject('/v1/nothing'), 'route-unknown');
  assertProblem(await app.inject({ method: 'DELETE', url: '/v1/status' }), 'route-unknown');
  assert.is((await app.inject({ method: 'HEAD', url: '/healthz' })).statusCode, 404);
  assertProblem(await app.inject('/%ff'), 'request-invalid');
  assertProblem(await bench().app.inject({ method: 'POST', url: '/v1/sources/moon/test' }), 'source-unknown');
});

test('each operational error keeps its code; anything else says nothing of itself', async () => {
  const { app, service, logged } = bench();
  for (const code of ['engine-busy', 'engine-stopped', 'self-test-failed'] as const) {
    service.failure = new EntropyError(code, 'because');
    assertProblem(await send(app, 'status'), code);
  }
  assert.equal(logged, []);
  service.failure = new Error('pin 1234 at /srv/key.ts:7');
  for (const name of ['status', 'events', 'configuration'] as const) {
    const answer = await send(app, name);
    assertProblem(answer, 'internal');
    assert.not.match(answer.payload, /1234|key\.ts|stack/);
  }
  assert.is(logged.length, 3);
});

test('a reader of events is told what he missed', async () => {
  const { app, service } = bench();
  service.kept = service.kept.slice(2);
  assertProblem(await app.inject('/v1/events?after=1'), 'event-lost');
  assert.is(recordsOf(await app.inject('/v1/events?after=2')), 1, 'after 2 comes 3: nothing is missing');
  assert.is(recordsOf(await app.inject('/v1/events?after=3')), 0);
  assertProblem(await app.inject('/v1/events?after=4'), 'event-lost');
  assert.is(recordsOf(await app.inject('/v1/events')), 1, '0 asks for what is kept');
});

test('the stream asked for as a document answers 426', async () => {
  assertProblem(await send(bench().app, 'eventStream'), 'upgrade-required');
});

test('the OpenAPI document is served as it was built, and missed politely', async () => {
  assertProblem(await send(bench().app, 'openApi'), 'route-unknown');
  const directory = await mkdtemp(path.join(tmpdir(), 'openapi-'));
  const file = path.join(directory, 'openapi.json');
  await writeFile(file, '{"openapi":"3.1.0"}');
  const answer = await send(bench('read', file).app, 'openApi');
  assert.is(answer.payload, '{"openapi":"3.1.0"}');
  assert.match(String(answer.headers['content-type']), /^application\/json/);
  await rm(directory, { recursive: true });
});

test('requests and refusals are counted', async () => {
  const { app, counters } = bench('read');
  await send(app, 'status');
  await send(app, 'selfTest');
  await app.inject('/nowhere');
  assert.is(counters.value('http.requests'), 3);
  assert.is(counters.value('http.errors'), 2);
});

test.run();
