import http from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAllZero } from '../../src/base/bytes.ts';
import { EntropyError } from '../../src/base/errors.ts';
import { closeBench, openBench } from './control-bench.ts';
import { assertProblem, bench } from './routes-bench.ts';

const PEER = { name: 'uid 7, pid 8', access: 'change' };
const BYTES = { 'content-type': 'application/octet-stream' };
const NEW_FEEDER = '/v1/feeders/new?class=drbg&bitsPerByte=0.03125';

function key(lengthBytes = 32): Buffer {
  return Buffer.alloc(lengthBytes, 0x5c);
}

test('an enrolment: class, rate and limits from the query, the key from the body, the file as bytes', async () => {
  const { app, service } = bench();
  const query = 'class=full-entropy&bitsPerByte=7.5&certificate=FIPS%20140-3&maximumBytesPerSecond=65536';
  const answer = await app.inject({ method: 'POST', url: `/v1/feeders/new?${query}` });
  assert.is(answer.statusCode, 200);
  assert.match(answer.rawPayload.toString('latin1'), /^entropy-feed enrolment v1\n.*\nkey (?:11){32}\n$/s);
  assert.is(answer.headers['cache-control'], 'no-store');
  const enrolment = {
    class: 'full-entropy',
    bitsPerByte: 7.5,
    certificate: 'FIPS 140-3',
    maximumBytesPerSecond: 65_536,
  };
  assert.equal(service.calls, [{ name: 'enrollFeeder', given: ['new', enrolment, PEER] }]);
  assert.equal(service.importedKeys, [], 'an empty body has the host make the key');
});

test('a key of exactly 32 bytes is imported, by enrolment and by rotation', async () => {
  const { app, service } = bench();
  for (const url of [NEW_FEEDER, '/v1/feeders/hsm-1/rotate']) {
    const answer = await app.inject({ method: 'POST', url, payload: key(), headers: BYTES });
    assert.is(answer.statusCode, 200);
    assert.match(answer.payload, /\nkey (?:5c){32}\n$/);
  }
  assert.equal(
    service.importedKeys.map(({ copy }) => Buffer.from(copy)),
    [key(), key()],
  );
  assert.is(
    (await app.inject({ method: 'POST', url: NEW_FEEDER, payload: '', headers: BYTES })).statusCode,
    200,
  );
  assert.is(service.importedKeys.length, 2);
});

test('a body that is no key is refused, and reaches nobody', async () => {
  const { app, service } = bench();
  for (const lengthBytes of [1, 31, 33, 4_096, 65_536]) {
    const payload = key(lengthBytes);
    for (const url of [NEW_FEEDER, '/v1/feeders/hsm-1/rotate']) {
      assertProblem(await app.inject({ method: 'POST', url, payload, headers: BYTES }), 'request-invalid');
    }
  }
  for (const headers of [{ 'content-type': 'application/json' }, { 'content-type': 'text/plain' }, {}]) {
    const answer = await app.inject({ method: 'POST', url: NEW_FEEDER, payload: key(), headers });
    assertProblem(answer, 'media-type-unsupported');
  }
  assert.equal(service.calls, []);
});

test('octets are for keys alone: every other route refuses them', async () => {
  const { app, service } = bench();
  for (const url of ['/v1/sources/rdseed/restore', '/v1/feeders/hsm-1/disable']) {
    const answer = await app.inject({ method: 'POST', url, payload: key(), headers: BYTES });
    assertProblem(answer, 'media-type-unsupported');
  }
  assert.equal(service.calls, []);
});

test('an enrolment that does not fit names the field', async () => {
  const { app, service } = bench();
  const rest = 'class=drbg&bitsPerByte=0.03125';
  const refused: [string, string][] = [
    ['/v1/feeders/new', 'query'],
    ['/v1/feeders/new?class=drbg', 'query'],
    ['/v1/feeders/new?class=hsm&bitsPerByte=1', 'query/class'],
    ...['-1', '8.5', '1e-2', 'NaN', '', '1/32', '.5', '0x1'].map((rate): [string, string] => [
      `/v1/feeders/new?class=drbg&bitsPerByte=${rate}`,
      'query/bitsPerByte',
    ]),
    [`/v1/feeders/new?${rest}&certificate=`, 'query/certificate'],
    [`/v1/feeders/new?${rest}&certificate=a%0ab`, 'query/certificate'],
    [`/v1/feeders/new?${rest}&certificate=${'x'.repeat(201)}`, 'query/certificate'],
    [`/v1/feeders/new?${rest}&maximumBytesPerSecond=31`, 'query/maximumBytesPerSecond'],
    [`/v1/feeders/new?${rest}&maximumBytesPerSecond=1073741825`, 'query/maximumBytesPerSecond'],
    [`/v1/feeders/new?${rest}&weight=0`, 'query/weight'],
    [`/v1/feeders/new?${rest}&weight=101`, 'query/weight'],
    [`/v1/feeders/new?${rest}&key=11`, 'query'],
    ...['New', '-x', '.x', 'a%20b', 'a%2Fb', 'x'.repeat(33), '%C3%A9'].map((name): [string, string] => [
      `/v1/feeders/${name}?${rest}`,
      'params/name',
    ]),
  ];
  for (const [url, where] of refused) {
    const answer = await app.inject({ method: 'POST', url });
    assertProblem(answer, 'request-invalid');
    assert.ok(answer.payload.includes(`"detail":"${where} `), `${url} ${answer.payload}`);
  }
  assert.equal(service.calls, []);
});

test('disable, enable and revoke answer the feeder as it is then, and know who asked', async () => {
  const { app, service } = bench();
  const disabled = await app.inject({ method: 'POST', url: '/v1/feeders/hsm-1/disable' });
  assert.match(disabled.payload, /"state":"disabled"/);
  await app.inject({ method: 'POST', url: '/v1/feeders/hsm-1/enable' });
  await app.inject({ method: 'DELETE', url: '/v1/feeders/hsm-1' });
  assert.equal(service.calls, [
    { name: 'disableFeeder', given: ['hsm-1', PEER] },
    { name: 'enableFeeder', given: ['hsm-1', PEER] },
    { name: 'revokeFeeder', given: ['hsm-1', PEER] },
  ]);
  assertProblem(await app.inject({ method: 'DELETE', url: '/v1/feeders/nobody' }), 'feeder-unknown');
});

test('random bytes: 1 to 65,536 of them, prediction resistance when asked for', async () => {
  const { app, service } = bench('read');
  for (const lengthBytes of [1, 65_536]) {
    const answer = await app.inject(`/v1/random?bytes=${lengthBytes}`);
    assert.equal(answer.rawPayload, Buffer.alloc(lengthBytes, 0xa5));
  }
  await app.inject('/v1/random?bytes=32&pr=true');
  await app.inject('/v1/random?bytes=32&pr=false');
  assert.equal(
    service.calls.map(({ given }) => given),
    [
      [1, false],
      [65_536, false],
      [32, true],
      [32, false],
    ],
  );
  for (const query of [
    '',
    '?bytes=0',
    '?bytes=65537',
    '?bytes=1&pr=1',
    '?bytes=1&pr=TRUE',
    '?bytes=1&bytes=2',
  ]) {
    assertProblem(await app.inject(`/v1/random${query}`), 'request-invalid');
  }
});

test('what serving refuses is told by its code', async () => {
  const { app, service } = bench();
  for (const code of [
    'gate-closed',
    'served-budget-spent',
    'served-reserve-kept',
    'fresh-entropy-unavailable',
  ] as const) {
    service.failure = new EntropyError(code, 'for now');
    assertProblem(await app.inject('/v1/random?bytes=32'), code);
  }
});

test('keys and random bytes are wiped once they were sent, over a real socket, and arrive whole', async () => {
  const opened = await openBench();
  const { service, socket } = opened;
  const random = await exchange(socket.path, 'GET', '/v1/random?bytes=65536');
  assert.equal(random, Buffer.alloc(65_536, 0xa5));
  const file = await exchange(socket.path, 'POST', NEW_FEEDER, key());
  assert.match(file.toString('latin1'), /key (?:5c){32}\n$/);
  await closeBench(opened);
  assert.is(service.answeredBytes.length, 2);
  for (const bytes of service.answeredBytes) assert.ok(isAllZero(bytes), 'an answer is still in memory');
  for (const { given } of service.importedKeys)
    assert.ok(isAllZero(given), 'an imported key is still in memory');
});

test('a key that came with a request which is refused is wiped too', async () => {
  const { app, service } = bench();
  service.failure = new EntropyError('state-damaged', 'refused');
  const payload = key();
  assertProblem(
    await app.inject({ method: 'POST', url: NEW_FEEDER, payload, headers: BYTES }),
    'state-damaged',
  );
  assert.equal(
    service.importedKeys.map(({ copy, given }) => [Buffer.from(copy), isAllZero(given)]),
    [[key(), true]],
  );
  assert.ok(isAllZero(payload), 'what the connection received is wiped as well');
});

/** One request on a connection of its own; resolves when the answer was read to its end. */
function exchange(socketPath: string, method: string, path: string, body?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { ...BYTES, 'content-length': body.length };
    const request = http.request({ socketPath, method, path, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve(Buffer.concat(parts)));
    });
    request.on('error', reject).end(body);
  });
}

test.run();
