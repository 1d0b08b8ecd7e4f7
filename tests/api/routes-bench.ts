import * as assert from 'uvu/assert';
import { Check } from 'typebox/schema';
import { Authenticator } from '../../src/api/auth/authenticator.ts';
import type { ControlApp } from '../../src/api/control-app.ts';
import { Peers } from '../../src/api/peers.ts';
import { buildServer } from '../../src/api/server.ts';
import { Counters } from '../../src/base/counters.ts';
import { ERRORS, type ErrorCode } from '../../src/base/errors.ts';
import type { PeerAccess } from '../../src/contract/control-service.ts';
import { ProblemSchema } from '../../src/contract/outputs.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { fakeCredentials } from './credentials-fake.ts';
import { FakeControlService } from './fake-control-service.ts';

export interface Bench {
  readonly app: ControlApp;
  readonly service: FakeControlService;
  readonly counters: Counters;
  readonly logged: string[];
}

/** The routes without a listener; every request comes from a peer with this access. */
export function bench(access: PeerAccess = 'change', openApiFile?: string): Bench {
  const service = new FakeControlService();
  const counters = new Counters();
  const logged: string[] = [];
  const keep = (message: string, fields: object = {}): void =>
    void logged.push(message + JSON.stringify(fields));
  const log = { debug: keep, info: keep, warn: keep, error: keep };
  const peers = new Peers();
  peers.of = () => ({ name: 'uid 7, pid 8', access });
  const credentials = fakeCredentials(new FakeClock(), counters);
  const authenticator = new Authenticator({ ...credentials, peers });
  const app = buildServer({ openApiFile }, { service, authenticator, counters, log });
  return { app, service, counters, logged };
}

export function assertProblem(
  answer: { statusCode: number; headers: object; json: () => unknown },
  code: ErrorCode,
): void {
  const problem: unknown = answer.json();
  assert.ok(Check(ProblemSchema, problem), JSON.stringify(problem));
  assert.is(problem.code, code);
  assert.is(answer.statusCode, ERRORS[code].http);
  assert.match(
    String('content-type' in answer.headers && answer.headers['content-type']),
    'application/problem+json',
  );
}
