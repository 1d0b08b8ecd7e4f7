import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TcpListener } from '../../src/api/tcp-listener.ts';
import { SystemClock } from '../../src/base/clock.ts';
import { ERRORS } from '../../src/base/errors.ts';
import { TOKEN_SCOPES } from '../../src/contract/access.ts';
import { ROUTE_NAMES, ROUTES } from '../../src/contract/routes.ts';
import { count } from '../counts.ts';
import { REQUESTS as REQUESTS_OF_ROUTES } from './route-requests.ts';
import { closeBench, exchange, openBench, request } from './control-bench.ts';

const REQUESTS = count(2_000, 100_000);
const AT_A_TIME = 8;

/** mulberry32: small, seeded, so that a failure can be repeated. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A request in good shape: what is random is who asks for what, and the body. */
function shapedRequest(below: (limit: number) => number): Buffer {
  const one = <T>(values: readonly T[]): T => values[below(values.length)]!;
  const name = one(ROUTE_NAMES);
  const body = Buffer.alloc(one([0, 31, 32, 4_096, 4_097, 65_536, 65_537]), below(256));
  const given = REQUESTS_OF_ROUTES[name].payload;
  const json = Buffer.isBuffer(given) ? given : Buffer.from(JSON.stringify(given ?? {}));
  const [type, sent] = one([
    ['application/json', json],
    ['application/json', Buffer.alloc(0)],
    ['application/octet-stream', body],
    ['application/octet-stream', json],
  ] as const);
  const lines = [
    `${ROUTES[name].method} ${REQUESTS_OF_ROUTES[name].url} HTTP/1.1`,
    'Host: localhost',
    'Connection: close',
    `Authorization: Bearer ${one(['all', 'all', 'all', 'observe', 'guessed'])}`,
    `Entropy-Sequence: ${one([6, 7, 8, 9, 10])}`,
    `Accept: ${one(['*/*', 'application/json'])}`,
    ...(sent.length === 0 ? [] : [`Content-Type: ${type}`, `Content-Length: ${sent.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), sent]);
}

function randomRequest(below: (limit: number) => number): Buffer {
  const one = <T>(values: readonly T[]): T => values[below(values.length)]!;
  const noise = (length: number): string => String.fromCharCode(...Array.from({ length }, () => below(256)));
  const method = one([
    'GET',
    'GET',
    'POST',
    'PATCH',
    'PUT',
    'DELETE',
    'HEAD',
    'OPTIONS',
    'TRACE',
    'get',
    noise(3),
  ]);
  const url = one([
    ...ROUTE_NAMES.map((name) => ROUTES[name].url),
    `/v1/ledger?limit=${one(['1', '0', '-1', '1e9', '%00', '9'.repeat(40), noise(4)])}`,
    `/v1/events?after=${one(['0', '2', '99', 'x', ''])}&limit=${below(9_999)}`,
    `/v1/sources/${one(['rdseed', '..', '%2e%2e', 'a'.repeat(200), encodeURIComponent(noise(5))])}/${one(['test', 'restore', 'x'])}`,
    `/v1/feeders/${one(['hsm-1', 'new', '..', encodeURIComponent(noise(5))])}${one(['', '/rotate', '/disable'])}`,
    `/v1/feeders/new?class=${one(['drbg', 'x'])}&bitsPerByte=${one(['0.03125', '9', '', noise(3)])}`,
    '/v1/entropy',
    `/v1/entropy/receipts?from=${one(['1', '0', noise(3)])}`,
    `/v1/tokens/new?scope=${one(['observe', 'observe,random', 'all', noise(4)])}`,
    `/v1/accounts/${one(['svc', 'a:b', encodeURIComponent(noise(5))])}${one(['', '/role', '/password'])}`,
    `/v1/random?bytes=${one(['1', '65536', '65537', 'x'])}&pr=${one(['true', 'false', '1'])}`,
    `/${noise(12)}`,
    '//',
    '*',
    'http://elsewhere/healthz',
    `/${'a/'.repeat(below(2_000))}`,
  ]);
  const body = one([
    '',
    '{}',
    'k'.repeat(32),
    '[]',
    'null',
    '{"reason":"x"}',
    '{"feedBytes":64}',
    '{"__proto__":1}',
    '['.repeat(2_000),
    noise(300),
    'x'.repeat(70_000),
  ]);
  const headers = [
    one([
      ...Array<string>(16).fill('Host: localhost'),
      'Host: localhost:1',
      'Host: x',
      'Host:',
      'Host: x\r\nHost: y',
      noise(6),
    ]),
    one([
      'X: y',
      ...Array<string>(6).fill('Authorization: Bearer all'),
      'Authorization: Bearer observe',
      `Authorization: Bearer ${noise(20)}`,
      'Authorization: Basic eDp5',
      'Authorization:',
      'Origin: http://elsewhere',
    ]),
    one(['Entropy-Sequence: 7', 'Entropy-Sequence: 8', `Entropy-Sequence: ${noise(3)}`, 'X: y']),
    one([
      'Content-Type: application/json',
      'Content-Type: text/plain',
      'Content-Type: application/octet-stream',
      'Content-Type: application/json; charset=latin1',
      `Content-Type: ${noise(8)}`,
      'X: y',
    ]),
    one([
      `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
      `Content-Length: ${below(100)}`,
      'Content-Length: -1',
      'Transfer-Encoding: chunked',
      'X: y',
    ]),
    one([
      'Connection: close',
      'Connection: keep-alive',
      'Connection: Upgrade\r\nUpgrade: websocket',
      'Connection: Upgrade\r\nUpgrade: h2c',
      'Expect: 100-continue',
    ]),
    one(['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13', 'Accept: */*', 'X: y']),
  ];
  return Buffer.from(`${method} ${url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`, 'latin1');
}

test(`${REQUESTS} random requests leave socket and listener healthy`, async () => {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const below = randomFrom(seed);
  const bench = await openBench();
  bench.tokens.add('all', TOKEN_SCOPES, { id: 1, name: 'hsm-1' });
  bench.tokens.add('observe', ['observe']);
  const listener = await TcpListener.open(
    { listen: '127.0.0.1:0', runtimeDirectory: bench.directory },
    {
      feed: { upgrade: (_request, socket) => void socket.destroy(), close: () => Promise.resolve() },
      routes: bench.routes,
      clock: new SystemClock(),
      counters: bench.counters,
      events: { emit: () => undefined },
    },
  );
  const tcp = { host: '127.0.0.1', port: Number(listener.address.split(':')[1]) };
  const { path } = bench.socket;
  const statuses = new Map<number, number>();
  try {
    for (let sent = 0; sent < REQUESTS; sent += AT_A_TIME) {
      const answers = await Promise.all(
        Array.from({ length: AT_A_TIME }, (_, at) =>
          exchange(at % 2 === 0 ? path : tcp, below(2) === 0 ? shapedRequest(below) : randomRequest(below)),
        ),
      );
      for (const [, status] of answers.flatMap((answer) => [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)])) {
        statuses.set(Number(status), (statuses.get(Number(status)) ?? 0) + 1);
      }
    }
    assert.is((await request(path, 'GET', '/healthz')).status, 200, `seed ${seed}`);
    assert.is((await request(path, 'GET', '/v1/status')).status, 200, `seed ${seed}`);
    const alive = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    assert.match(await exchange(tcp, alive), /^HTTP\/1\.1 200 /, `seed ${seed}`);
    const told = new Set<number>([100, 101, 200, 201, ...Object.values(ERRORS).map(({ http }) => http)]);
    for (const status of statuses.keys()) assert.ok(told.has(status), `seed ${seed}: status ${status}`);
    assert.not.ok(statuses.has(ERRORS.internal.http), `seed ${seed}: internal`);
    // Wrong tokens are answered 401 until there were too many of them, so of those there are few however many requests there are.
    for (const status of [200, 400, 401, 403, 404, 429])
      assert.ok((statuses.get(status) ?? 0) >= 5, `seed ${seed}: too few answers ${status}`);
    assert.is(bench.service.intake.turnsOpen, 0, `seed ${seed}: a turn was not let go`);
  } finally {
    await listener.close();
    await closeBench(bench);
  }
});

test.run();
