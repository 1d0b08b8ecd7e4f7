import type { FastifyRequest } from 'fastify';
import { isObject } from '../../state/feeder-record.ts';
import { EntropyError, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { KIB } from '../../base/units.ts';
import type { LinkPeer } from '../../service/link-watch.ts';
import { basicCredentials } from '../auth/password-check.ts';
import type { ControlApp } from '../control-app.ts';
import { formatAddress } from '../listen-address.ts';
import { BLOB, readBlobBody, type BlobBody } from './blob-body.ts';
import { BodyReader } from './body-reader.ts';
import { answerJsonRpc, errorName } from './json-rpc.ts';
import { VapiError, vapiErrorOf } from './vapi-errors.ts';
import type { VapiSession } from './vapi-sessions.ts';
import type { HostFilter, VapiCaller, VsphereApi } from './vsphere-api.ts';

export interface VsphereDependencies {
  readonly vsphere: VsphereApi;
  readonly log: Log;
}

/** A pool of default size in base64, and room for a larger one; who has more to give gives it in parts. */
const MAXIMUM_BODY_BYTES = 8 * KIB * KIB;
const ACCOUNTS = { maximumBytes: MAXIMUM_BODY_BYTES, totalBytes: 32 * KIB * KIB } as const;
/** Bodies of the JSON-RPC form that come before anybody has logged in: what is read of them shuts nobody else out. */
const STRANGERS = { maximumBytes: MAXIMUM_BODY_BYTES, totalBytes: 16 * KIB * KIB } as const;

const POOL = '/vcenter/host/:host/entropy/external-pool';
const OLD_SESSION = '/com/vmware/cis/session';
/** fastify wants one where a body may come; what it is, is looked at here. */
const anyBody = { schema: { body: {} } } as const;
/** Sessions are this interface's own, and each operation asks for one. */
const open = { config: { access: 'open' } } as const;

/** The vSphere-shaped interface: `/api/…` (raw answers), `/rest/…` (answers in `value`), and the JSON-RPC form at `/api` itself. */
export function registerVsphereRoutes(app: ControlApp, dependencies: VsphereDependencies): void {
  const readers = { accounts: new BodyReader(ACCOUNTS), strangers: new BodyReader(STRANGERS) };
  for (const form of [API, REST]) {
    void app.register(
      (scope, _options, done) => {
        takeAnyBody(scope);
        answerErrors(scope, form, dependencies.log);
        registerSession(scope, form, dependencies.vsphere);
        registerHosts(scope, form, dependencies.vsphere);
        registerPool(scope, form, dependencies.vsphere, readers.accounts);
        if (form === API) registerJsonRpc(scope, dependencies.vsphere, readers);
        done();
      },
      { prefix: form.prefix },
    );
  }
}

/** What differs between the two. */
interface Form {
  readonly prefix: string;
  readonly sessionPath: string;
  readonly createdStatus: number;
  readonly deletedStatus: number;
  readonly value: (answer: unknown) => unknown;
  readonly error: (error: VapiError) => object;
}

const API: Form = {
  prefix: '/api',
  sessionPath: '/session',
  createdStatus: 201,
  deletedStatus: 204,
  value: (answer) => answer,
  error: ({ body }) => body,
};

const REST: Form = {
  prefix: '/rest',
  sessionPath: OLD_SESSION,
  createdStatus: 200,
  deletedStatus: 200,
  value: (answer) => ({ value: answer }),
  error: ({ type, body }) => ({ type: errorName(type), value: body }),
};

/** Bodies are handed on unread: who may send one is known first. */
function takeAnyBody(scope: ControlApp): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  scope.setValidatorCompiler(() => (value: unknown) => ({ value }));
}

function answerErrors(scope: ControlApp, form: Form, log: Log): void {
  scope.setErrorHandler((error, _request, reply) => {
    const told = vapiErrorOf(error) ?? unexpected(error, log);
    if (told.status === 401) void reply.header('www-authenticate', 'Basic realm="entropy-mixer"');
    if (told.retryAfterSeconds !== undefined) void reply.header('retry-after', told.retryAfterSeconds);
    return reply.code(told.status).type('application/json').send(form.error(told));
  });
  scope.setNotFoundHandler(() => {
    throw new VapiError('OPERATION_NOT_FOUND', 'operation-unknown', 'There is no such operation here.');
  });
}

function unexpected(error: unknown, log: Log): VapiError {
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  if (status >= 400 && status < 500)
    return new VapiError('INVALID_REQUEST', 'request-invalid', 'The request cannot be read.');
  log.error('request failed', { reason: messageOf(error) });
  return new VapiError(
    'INTERNAL_SERVER_ERROR',
    'internal',
    'The request failed; the log of the daemon says why.',
  );
}

function registerSession(scope: ControlApp, form: Form, api: VsphereApi): void {
  scope.route({
    method: 'POST',
    url: form.sessionPath,
    ...open,
    ...anyBody,
    handler: async (request, reply) => {
      if (actionOf(request) === 'get') return form.value(sessionInfo(api.session(callerOf(request))));
      const token = await api.login(basicCredentials(request.headers.authorization), peerOf(request));
      // As JSON: a bare text would be sent as it is.
      return reply
        .code(form.createdStatus)
        .type('application/json')
        .send(JSON.stringify(form.value(token)));
    },
  });
  scope.route({
    method: 'GET',
    url: form.sessionPath,
    ...open,
    handler: (request) => form.value(sessionInfo(api.session(callerOf(request)))),
  });
  scope.route({
    method: 'DELETE',
    url: form.sessionPath,
    ...open,
    ...anyBody,
    handler: (request, reply) => {
      api.logout(callerOf(request));
      return reply.code(form.deletedStatus).send();
    },
  });
}

function registerHosts(scope: ControlApp, form: Form, api: VsphereApi): void {
  scope.route({
    method: 'GET',
    url: '/vcenter/host',
    ...open,
    handler: (request) => form.value(api.hosts(callerOf(request), filterOf(request))),
  });
}

function registerPool(scope: ControlApp, form: Form, api: VsphereApi, reader: BodyReader): void {
  scope.route<{ Params: { host: string } }>({
    method: 'GET',
    url: POOL,
    ...open,
    handler: async (request) => form.value(await api.info(callerOf(request), request.params.host)),
  });
  scope.route<{ Params: { host: string } }>({
    method: 'POST',
    url: POOL,
    ...open,
    ...anyBody,
    handler: async (request) => {
      const caller = callerOf(request);
      const { host } = request.params;
      if (actionOf(request) !== 'add')
        throw new VapiError('INVALID_REQUEST', 'action-unknown', 'The action of the external pool is add.', [
          'action',
        ]);
      api.assertWriter(caller, host);
      return reader.read(bodyOf(request), async (body) =>
        form.value(await api.add(caller, host, dataOf(parsed(body)))),
      );
    },
  });
}

function registerJsonRpc(
  scope: ControlApp,
  api: VsphereApi,
  readers: Readonly<Record<'accounts' | 'strangers', BodyReader>>,
): void {
  const handler = (request: FastifyRequest): Promise<object> => {
    const caller = callerOf(request);
    const reader = api.hasSession(caller) ? readers.accounts : readers.strangers;
    return reader.read(bodyOf(request), (body) => answerJsonRpc(api, parsed(body), caller));
  };
  // Of the prefix itself, with a slash at its end or without.
  scope.route({ method: 'POST', url: '/', ...open, ...anyBody, handler });
}

function sessionInfo({ account, createdMs, lastAccessedMs }: VapiSession): object {
  return {
    user: account.name,
    created_time: new Date(createdMs).toISOString(),
    last_accessed_time: new Date(lastAccessedMs).toISOString(),
  };
}

function callerOf(request: FastifyRequest): VapiCaller {
  const token = request.headers['vmware-api-session-id'];
  return { token: typeof token === 'string' ? token : undefined, peer: peerOf(request) };
}

/** `action=`, and `~action=` in the older form. */
function actionOf(request: FastifyRequest): string | undefined {
  const query = queryOf(request);
  return (query.get('action') ?? query.get('~action'))?.[0];
}

function filterOf(request: FastifyRequest): HostFilter {
  const query = queryOf(request);
  return {
    names: query.get('names'),
    hosts: query.get('hosts'),
    connectionStates: query.get('connection_states'),
    isElsewhere: ['folders', 'clusters', 'datacenters'].some((name) => query.has(name)),
  };
}

/** By name; the older form puts `filter.` before it, and numbers lists: `filter.names.1`. */
function queryOf({ query }: FastifyRequest): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [name, value] of Object.entries(query as Record<string, string | string[]>)) {
    const plain = name.replace(/^filter\./, '').replace(/\.\d{1,4}$/, '');
    found.set(plain, [...(found.get(plain) ?? []), ...[value].flat()]);
  }
  return found;
}

function bodyOf({ body }: FastifyRequest): AsyncIterable<Buffer> {
  return body === undefined || body === null ? nothing() : (body as AsyncIterable<Buffer>);
}

async function* nothing(): AsyncIterable<Buffer> {
  // An empty body.
}

function parsed(body: Buffer): BlobBody {
  try {
    return readBlobBody(body);
  } catch (error) {
    throw new EntropyError(
      'request-invalid',
      error instanceof SyntaxError ? error.message : 'body: unreadable',
    );
  }
}

/** `{"data": …}`, or that in `spec`; undefined where there is no base64 at this place. */
function dataOf({ json, decode }: BlobBody): Buffer | undefined {
  const outer = isObject(json) ? json : {};
  const { data } = isObject(outer.spec) ? outer.spec : outer;
  return data === BLOB ? decode() : undefined;
}

function peerOf({ raw: { socket }, caller }: FastifyRequest): LinkPeer {
  const { remoteAddress: ipAddress, remotePort: port = 0 } = socket;
  if (ipAddress === undefined) return { address: caller.peer.name, ipAddress: 'local' };
  return { address: formatAddress({ host: ipAddress, port }), ipAddress };
}
