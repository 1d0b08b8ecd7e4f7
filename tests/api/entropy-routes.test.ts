import http from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { prefersJson } from '../../src/api/accept.ts';
import { BodyBuffers } from '../../src/api/body-buffers.ts';
import { isAllZero } from '../../src/base/bytes.ts';
import { RECEIPT_BYTES } from '../../src/protocol/receipt.ts';
import { throwsWith } from '../rejects.ts';
import { closeBench, openBench, type ControlBench } from './control-bench.ts';

/** POST /v1/entropy on a real socket, with a fake intake behind it. */

let bench: ControlBench;

test.before.each(async () => {
  bench = await openBench();
  bench.tokens.add('hsm', ['external.write'], { id: 1, name: 'hsm-1' });
});
test.after.each(async () => {
  assert.is(bench.service.intake.turnsOpen, 0, 'every turn is over');
  await closeBench(bench);
});

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly problem: Record<string, unknown>;
}

function post(
  headers: Record<string, string | number>,
  body: Buffer | undefined,
  abortAfter?: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = http.request({
      socketPath: bench.socket.path,
      agent: false,
      method: 'POST',
      path: '/v1/entropy',
      headers: {
        authorization: 'Bearer hsm',
        'content-type': 'application/octet-stream',
        'entropy-sequence': '7',
        ...headers,
      },
    });
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const whole = Buffer.concat(parts);
        const isProblem = response.headers['content-type']?.includes('problem') === true;
        const problem = isProblem ? (JSON.parse(whole.toString()) as Record<string, unknown>) : {};
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: whole, problem });
      });
    });
    sent.on('error', reject);
    if (abortAfter === undefined) sent.end(body);
    else sent.write(body!.subarray(0, abortAfter), () => sent.destroy());
  });
}

test('a receipt of 264 bytes, and JSON to whoever prefers it', async () => {
  const body = Buffer.alloc(64, 3);
  const binary = await post({ 'content-length': 64 }, body);
  assert.equal([binary.status, binary.headers['content-type']], [201, 'application/octet-stream']);
  assert.is(binary.body.length, RECEIPT_BYTES);
  const json = await post({ accept: 'application/json', 'entropy-sequence': '8' }, body);
  assert.is(json.status, 201);
  const receipt = JSON.parse(json.body.toString()) as Record<string, unknown>;
  assert.equal([receipt.feeder, receipt.sequence, receipt.kind], ['hsm-1', 1, 'frame']);
  assert.equal(Buffer.from(String(receipt.record), 'base64'), binary.body);
});

test('the body arrives as it is, in one piece or in chunks, and its buffer is wiped', async () => {
  const body = Buffer.from(Array.from({ length: 4_096 }, (_, at) => at & 0xff));
  await post({ 'content-length': body.length }, body);
  await post({ 'transfer-encoding': 'chunked', 'entropy-sequence': '8' }, body);
  const { taken } = bench.service.intake;
  assert.equal(
    taken.map(({ copy }) => Buffer.from(copy).equals(body)),
    [true, true],
  );
  assert.ok(taken.every(({ given }) => isAllZero(given)));
});

test('409 names the next sequence, 429 what is granted and when to come again', async () => {
  const used = await post({ 'entropy-sequence': '6' }, Buffer.alloc(64));
  assert.equal([used.status, used.problem.code, used.problem.nextSequence], [409, 'sequence-used', 7]);
  const full = await post({}, Buffer.alloc(4_097));
  assert.equal(
    [full.status, full.problem.code, full.problem.grantedBytes],
    [429, 'feed-grant-exceeded', 4_096],
  );
  assert.is(full.headers['retry-after'], '3');
  assert.is(bench.service.intake.taken.length, 0);
});

test('sequence, length and type are checked before anything is taken', async () => {
  const cases: [number, Record<string, string | number>, Buffer | undefined][] = [
    [400, { 'entropy-sequence': '0' }, Buffer.alloc(64)],
    [400, { 'entropy-sequence': '-1' }, Buffer.alloc(64)],
    [400, { 'entropy-sequence': '1e3' }, Buffer.alloc(64)],
    [400, { 'entropy-sequence': '99999999999999999999' }, Buffer.alloc(64)],
    [400, {}, Buffer.alloc(31)],
    [400, { 'content-length': 0 }, undefined],
    [413, {}, Buffer.alloc(65_537)],
    [413, { 'transfer-encoding': 'chunked' }, Buffer.alloc(65_537)],
    [400, { 'transfer-encoding': 'chunked' }, Buffer.alloc(31)],
    [415, { 'content-type': 'application/json' }, Buffer.alloc(64)],
    [415, { 'content-type': 'text/plain' }, Buffer.alloc(64)],
  ];
  for (const [status, headers, body] of cases) {
    const answer = await post(headers, body);
    assert.is(answer.status, status, `${JSON.stringify(headers)} ${answer.body.toString()}`);
  }
  assert.is(bench.service.intake.taken.length, 0);
});

test('a sender that breaks off leaves its turn to the next', async () => {
  await post({ 'content-length': 4_096 }, Buffer.alloc(4_096), 100).catch(() => undefined);
  while (bench.service.intake.turnsOpen > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.is((await post({}, Buffer.alloc(64))).status, 201);
});

test('Accept: the better liked of the two, and bytes when neither is', () => {
  for (const accept of [
    'application/json',
    'application/json, */*;q=0.1',
    'application/octet-stream;q=0.5, application/*',
  ])
    assert.ok(prefersJson(accept), accept);
  for (const accept of [
    undefined,
    '*/*',
    'application/octet-stream',
    'application/json;q=0.4, application/octet-stream;q=0.5',
    'application/json;q=0',
    'application/json;q=2',
    'text/html',
    ',;,',
  ])
    assert.not.ok(prefersJson(accept), accept);
});

test('there are so many buffers and no more; one comes back wiped', () => {
  const buffers = new BodyBuffers({ lengthBytes: 8, maximum: 2 });
  const one = buffers.acquire();
  buffers.acquire();
  throwsWith(() => buffers.acquire(), 'server-busy');
  one.fill(1);
  buffers.release(one);
  assert.is(buffers.acquire(), one);
  assert.ok(isAllZero(one));
});

test.run();
