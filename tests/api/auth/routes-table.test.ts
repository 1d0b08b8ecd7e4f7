import http from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Check } from 'typebox/schema';
import { ControlSocket } from '../../../src/api/control-socket.ts';
import { HttpInterface } from '../../../src/api/http-interface.ts';
import { TcpListener } from '../../../src/api/tcp-listener.ts';
import { Counters } from '../../../src/base/counters.ts';
import { ERRORS, type ErrorCode } from '../../../src/base/errors.ts';
import { TOKEN_SCOPES } from '../../../src/contract/access.ts';
import type { PeerAccess } from '../../../src/contract/control-service.ts';
import { ProblemSchema } from '../../../src/contract/outputs.ts';
import { ACCESS_RULES } from '../../../src/contract/route-access.ts';
import { ROUTE_NAMES, ROUTES, type RouteName } from '../../../src/contract/routes.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';
import { fakeCredentials, type FakeCredentials } from '../credentials-fake.ts';
import { OWN_UID } from '../control-bench.ts';
import { FakeControlService, silentLog } from '../fake-control-service.ts';
import { REQUESTS } from '../route-requests.ts';

/**
 * Every route of the table × who asks × where: a route that is added is in here by itself. Real listeners, a fake service behind them.
 */

const CREDENTIALS = ['none', 'wrong', 'wrong scope', 'expired', 'right'] as const;
type Credential = (typeof CREDENTIALS)[number];

/** On the control socket the peer counts when there is no token: root and the daemon's user, another of its group, one unknown. */
const PLACES = ['TCP', 'socket: change', 'socket: read', 'socket: none'] as const;
type Place = (typeof PLACES)[number];

interface Bench {
  readonly credentials: FakeCredentials;
  readonly service: FakeControlService;
  readonly counters: Counters;
  /** Uid of the next peer of the control socket. */
  peerUid: number | undefined;
  readonly ask: (
    place: Place,
    name: RouteName,
    headers: Record<string, string>,
  ) => Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string }>;
  readonly close: () => Promise<void>;
}

const UIDS: Readonly<Record<Place, number | undefined>> = {
  TCP: undefined,
  'socket: change': OWN_UID,
  'socket: read': OWN_UID + 1,
  'socket: none': undefined,
};

async function openBench(): Promise<Bench> {
  const directory = await mkdtemp(path.join(tmpdir(), 'auth-'));
  const clock = new FakeClock();
  const counters = new Counters();
  const credentials = fakeCredentials(clock, counters);
  for (const scope of TOKEN_SCOPES) {
    const feeder = scope === 'external.write' ? { id: 1, name: 'hsm-1' } : undefined;
    credentials.tokens.add(`only-${scope}`, [scope], feeder);
    const others = TOKEN_SCOPES.filter((one) => one !== scope);
    credentials.tokens.add(`all-but-${scope}`, others, { id: 1, name: 'hsm-1' });
  }
  credentials.tokens.add('expired', TOKEN_SCOPES, { id: 1, name: 'hsm-1' });
  credentials.tokens.expired.add('expired');
  credentials.tokens.add('all', TOKEN_SCOPES, { id: 1, name: 'hsm-1' });
  const service = new FakeControlService();
  const routes = await HttpInterface.open(
    { openApiFile: undefined },
    { service, clock, counters, log: silentLog, ...credentials },
  );
  const peerCredentials = () => (bench.peerUid === undefined ? undefined : { pid: 1, uid: bench.peerUid });
  const socket = await ControlSocket.open(
    { runtimeDirectory: directory },
    { routes, clock, uid: OWN_UID, peerCredentials },
  );
  const feed = { upgrade: () => undefined, close: () => Promise.resolve() };
  const listener = await TcpListener.open(
    { listen: '127.0.0.1:0', runtimeDirectory: directory },
    { feed, routes, clock, counters, events: credentials.events },
  );
  const bench: Bench = {
    credentials,
    service,
    counters,
    peerUid: undefined,
    ask: (place, name, headers) => {
      bench.peerUid = UIDS[place];
      return ask(
        place === 'TCP' ? { port: listener.address.split(':')[1]! } : { socketPath: socket.path },
        name,
        headers,
      );
    },
    close: async () => {
      await socket.close();
      await listener.close();
      await routes.close();
      await rm(directory, { recursive: true });
    },
  };
  return bench;
}

function ask(
  where: { port: string } | { socketPath: string },
  name: RouteName,
  headers: Record<string, string>,
): ReturnType<Bench['ask']> {
  const { url, payload, headers: own } = REQUESTS[name];
  const body = payload === undefined || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
  const type = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
  return new Promise((resolve, reject) => {
    const sent = http.request({
      ...where,
      agent: false,
      host: '127.0.0.1',
      path: url,
      method: ROUTES[name].method,
      headers: { ...type, ...own, ...headers },
    });
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (part: string) => (text += part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    sent.on('error', reject).end(body);
  });
}

/** The token of a case for a route; undefined when there is no such token. */
function tokenFor(credential: Credential, name: RouteName): string | undefined {
  const { token } = ACCESS_RULES[ROUTES[name].access];
  switch (credential) {
    case 'none':
      return undefined;
    case 'wrong':
      return 'emt_guessed';
    case 'expired':
      return 'expired';
    case 'wrong scope':
      return token === 'none' || token === 'any' ? 'all' : `all-but-${token}`;
    case 'right':
      return token === 'none' || token === 'any' ? 'all' : `only-${token}`;
  }
}

const PEERS: Readonly<Record<Place, PeerAccess>> = {
  TCP: 'none',
  'socket: change': 'change',
  'socket: read': 'read',
  'socket: none': 'none',
};

/** What the table of routes has to say of a case; undefined: the route is served. */
function expectedOf(place: Place, credential: Credential, name: RouteName): ErrorCode | undefined {
  const { access } = ROUTES[name];
  const rule = ACCESS_RULES[access];
  if (access === 'open') return undefined;
  if (credential === 'wrong') return 'credential-wrong';
  if (credential === 'expired') return 'token-expired';
  if (credential === 'none') {
    if (place === 'TCP' || rule.peer === 'none') return 'credential-missing';
    const peer = PEERS[place];
    return peer === 'change' || peer === rule.peer ? undefined : 'permission-denied';
  }
  if (rule.token === 'none') return 'scope-missing';
  return credential === 'wrong scope' && rule.token !== 'any' ? 'scope-missing' : undefined;
}

const REFUSALS = new Set<ErrorCode>([
  'credential-missing',
  'credential-wrong',
  'token-expired',
  'scope-missing',
  'permission-denied',
  'credential-rate-exceeded',
]);

for (const place of PLACES) {
  for (const credential of CREDENTIALS) {
    test(`${place}, ${credential} token: each route does what the table says`, async () => {
      const bench = await openBench();
      // Wrong ones are limited to 20 in a row; each gets a listener of its own for as many routes.
      let asked = 0;
      let current = bench;
      for (const name of ROUTE_NAMES) {
        if (++asked % 20 === 0) {
          await current.close();
          current = await openBench();
        }
        const token = tokenFor(credential, name);
        const headers: Record<string, string> =
          token === undefined ? {} : { authorization: `Bearer ${token}` };
        const before = current.service.calls.length;
        const { status, headers: told, text } = await current.ask(place, name, headers);
        const what = `${place}, ${credential}: ${name} answered ${status} ${text.slice(0, 300)}`;
        const expected = expectedOf(place, credential, name);
        const code = status >= 400 ? codeOf(text) : undefined;
        if (expected === undefined) {
          assert.not.ok(code !== undefined && REFUSALS.has(code), what);
          continue;
        }
        assert.is(code, expected, what);
        assert.is(status, ERRORS[expected].http, what);
        assert.is(current.service.calls.length, before, `${what}, and the service was asked`);
        assert.is(told['www-authenticate'] !== undefined, status === 401, what);
      }
      await current.close();
    });
  }
}

function codeOf(text: string): ErrorCode {
  const problem: unknown = JSON.parse(text);
  assert.ok(Check(ProblemSchema, problem), text);
  return problem.code;
}

test('a token works on open routes too, and a wrong one is not looked at there', async () => {
  const bench = await openBench();
  for (const name of ['health', 'ready'] as const)
    assert.is((await bench.ask('TCP', name, { authorization: 'Bearer nonsense' })).status, 200);
  assert.is(bench.counters.value('credentials.refused'), 0);
  await bench.close();
});

test('the twenty-first wrong token is answered 429 with Retry-After, and a right one is served all the same', async () => {
  const bench = await openBench();
  for (let tries = 0; tries < 20; tries++) await bench.ask('TCP', 'status', { authorization: 'Bearer x' });
  const refused = await bench.ask('TCP', 'status', { authorization: 'Bearer x' });
  assert.is(codeOf(refused.text), 'credential-rate-exceeded');
  assert.equal([refused.status, refused.headers['retry-after']], [429, '6']);
  assert.is((await bench.ask('TCP', 'status', { authorization: 'Bearer only-observe' })).status, 200);
  await bench.close();
});

test('what is no Bearer token is a wrong credential', async () => {
  const bench = await openBench();
  for (const authorization of ['', 'Bearer', 'Bearer ', 'Basic eDp5', 'Bearer all x', 'Token all', 'all'])
    assert.is(
      codeOf((await bench.ask('TCP', 'status', { authorization })).text),
      'credential-wrong',
      authorization,
    );
  assert.is((await bench.ask('TCP', 'status', { authorization: 'bearer all' })).status, 200);
  await bench.close();
});

test('what a token does is told under its name and address', async () => {
  const bench = await openBench();
  await bench.ask('TCP', 'restoreGate', { authorization: 'Bearer only-config' });
  const peer = bench.service.calls.at(-1)?.given[0];
  assert.equal(peer, { name: 'token only-config from 127.0.0.1', access: 'none' });
  await bench.close();
});

test.run();
