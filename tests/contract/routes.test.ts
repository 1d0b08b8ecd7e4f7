import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Check } from 'typebox/schema';
import { ERRORS } from '../../src/base/errors.ts';
import { problemOf } from '../../src/contract/problem.ts';
import { ProblemSchema } from '../../src/contract/outputs.ts';
import { ACCESS_RULES } from '../../src/contract/route-access.ts';
import { allErrors, COMMON_ERRORS, type RouteEntry } from '../../src/contract/route.ts';
import { REASON, ROUTE_NAMES, ROUTES } from '../../src/contract/routes.ts';

const routes = ROUTE_NAMES.map((name): [string, RouteEntry] => [name, ROUTES[name]]);

test('each method and path is one route', () => {
  const places = routes.map(([, { method, url }]) => `${method} ${url}`);
  assert.is(new Set(places).size, places.length);
});

test('the parameters in a path are those of its schema', () => {
  for (const [name, { url, schema }] of routes) {
    const inPath = [...url.matchAll(/:([A-Za-z]+)/g)].map((match) => match[1]);
    assert.equal(Object.keys(schema.params.properties), inPath, name);
  }
});

test('what a schema of a request does not name is refused', () => {
  for (const [name, { schema }] of routes) {
    for (const part of [schema.params, schema.querystring, schema.body]) {
      if (part === undefined) continue;
      assert.is(Check(part, { unheardOf: 1 }), false, name);
    }
  }
});

test('only GET reads', () => {
  for (const [name, { method, access }] of routes) {
    if (access === 'external.write') continue;
    assert.is(method === 'GET', ['none', 'read'].includes(ACCESS_RULES[access].peer), name);
  }
});

test('health and readiness are open, and nothing else', () => {
  const open = routes.filter(([, { access }]) => access === 'open').map(([name]) => name);
  assert.equal(open, ['health', 'ready']);
});

test('what makes keys, tokens and accounts, shows a key or seals one, is of the control socket alone', () => {
  const local = routes
    .filter(([, { access }]) => ACCESS_RULES[access].token === 'none')
    .map(([name]) => name);
  assert.equal(local, [
    'changeEncryption',
    'suspendSeal',
    'checkSeal',
    'setPassphrase',
    'removePassphrase',
    'zeroize',
    'enrollFeeder',
    'rotateFeeder',
    'tokens',
    'createToken',
    'revokeToken',
    'accounts',
    'addAccount',
    'setPassword',
    'setRole',
    'removeAccount',
    'recoveryKey',
    'rotateRecovery',
    'acknowledgeRecovery',
    'escrowRecovery',
    'backup',
  ]);
});

test('each error that a route may answer has the problem schema under its status', () => {
  for (const [name, entry] of routes) {
    const { errors, schema } = entry;
    for (const code of allErrors(entry)) {
      assert.is(schema.response[ERRORS[code].http], ProblemSchema, `${name} ${code}`);
    }
    assert.is(new Set(errors).size, errors.length, name);
  }
});

test('only what changes the state of the daemon, or gives a key of it away, takes the right to change', () => {
  const changing = routes
    .filter(([, { access }]) => ACCESS_RULES[access].peer === 'change')
    .map(([name]) => name);
  assert.equal(changing, [
    'overrideGate',
    'restoreGate',
    'testSource',
    'restoreSource',
    'changeConfiguration',
    'selfTest',
    'changeEncryption',
    'suspendSeal',
    'checkSeal',
    'setPassphrase',
    'removePassphrase',
    'zeroize',
    'enrollFeeder',
    'rotateFeeder',
    'disableFeeder',
    'enableFeeder',
    'revokeFeeder',
    'createToken',
    'revokeToken',
    'addAccount',
    'setPassword',
    'setRole',
    'removeAccount',
    'recoveryKey',
    'rotateRecovery',
    'acknowledgeRecovery',
    'escrowRecovery',
    'backup',
  ]);
});

test('a reason is 1 to 200 printable characters', () => {
  const accepts = (reason: string): boolean => Check(ROUTES.restoreSource.schema.body, { reason });
  assert.ok(accepts('x'));
  assert.ok(accepts('x'.repeat(REASON.maxLength)));
  assert.ok(accepts('Gerät geprüft, 乱数'));
  assert.not.ok(accepts(''));
  assert.not.ok(accepts('x'.repeat(REASON.maxLength + 1)));
  for (const bad of ['\n', '\u0000', '\u001b[31m', '\u007f', '\u0085', '\u2028', '\u202e', '\ud800']) {
    assert.not.ok(accepts(`a${bad}b`), JSON.stringify(bad));
  }
});

test('an override is of masks 1 to 15, lasts 10 seconds to a day, and has a reason', () => {
  const accepts = (change: object): boolean =>
    Check(ROUTES.overrideGate.schema.body, { mask: 4, seconds: 600, reason: 'HSM moved', ...change });
  for (const good of [{}, { mask: 1 }, { mask: 15 }, { seconds: 10 }, { seconds: 86_400 }])
    assert.ok(accepts(good), JSON.stringify(good));
  for (const bad of [
    { mask: 0 },
    { mask: 16 },
    { mask: 1.5 },
    { seconds: 9 },
    { seconds: 86_401 },
    { reason: '' },
    { reason: 'a\nb' },
    { forever: true },
  ])
    assert.not.ok(accepts(bad), JSON.stringify(bad));
});

test('a problem says what the table says and fits its schema', () => {
  for (const code of COMMON_ERRORS) {
    const problem = problemOf(code, 'here', { reason: null });
    assert.ok(Check(ProblemSchema, problem), code);
    assert.is(problem.status, ERRORS[code].http);
    assert.is(problem.title, ERRORS[code].meaning);
  }
});

test('the members of a problem cannot be overruled, and its detail is bounded', () => {
  const problem = problemOf('internal', 'x'.repeat(10_000), { code: 'usage', status: 200 });
  assert.is(problem.code, 'internal');
  assert.is(problem.status, 500);
  assert.is(problem.detail.length, 500);
});

test.run();
