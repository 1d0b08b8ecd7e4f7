import { isObject } from '../../state/feeder-record.ts';
import { EntropyError } from '../../base/errors.ts';
import type { BasicCredentials } from '../auth/password-check.ts';
import { BLOB, type BlobBody } from './blob-body.ts';
import { VapiError, vapiErrorOf, type VapiErrorType } from './vapi-errors.ts';
import type { AddResult, HostFilter, HostSummary, PoolInfo, VapiCaller, VsphereApi } from './vsphere-api.ts';

/**
 * The form that the SDKs speak: POST /api, JSON-RPC 2.0 with the one method `invoke`. Values are wrapped by their type:
 *
 *   {"STRUCTURE": {NAME: {FIELD: VALUE …}}}   {"OPTIONAL": VALUE|null}   {"SECRET": TEXT}   {"BINARY": BASE64}   {"ERROR": {NAME: {…}}}
 *
 * and lists, texts, numbers and truth values stand as they are.
 */

const SERVICES = {
  session: 'com.vmware.cis.session',
  host: 'com.vmware.vcenter.host',
  pool: 'com.vmware.vcenter.host.entropy.external_pool',
} as const;
const SCHEMES = {
  password: 'com.vmware.vapi.std.security.user_pass',
  session: 'com.vmware.vapi.std.security.session_id',
} as const;
const ERRORS_PACKAGE = 'com.vmware.vapi.std.errors';
/** JSON-RPC 2.0, section 5.1. */
const RPC_INVALID_REQUEST = -32_600;
const RPC_METHOD_NOT_FOUND = -32_601;

interface Invocation {
  readonly service: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly security: Readonly<Record<string, unknown>>;
}

/** Answers one request; the caller is that of its header. Everything that an operation refuses stands in the answer; throws only what is unexpected. */
export async function answerJsonRpc(
  api: VsphereApi,
  { json, decode }: BlobBody,
  caller: VapiCaller,
): Promise<object> {
  const id = isObject(json) ? idOf(json.id) : null;
  if (!isObject(json) || json.jsonrpc !== '2.0')
    return refused(id, RPC_INVALID_REQUEST, 'this is not JSON-RPC 2.0');
  const invocation = json.method === 'invoke' ? invocationIn(json.params) : undefined;
  if (invocation === undefined)
    return refused(id, RPC_METHOD_NOT_FOUND, 'the method is invoke, of a service and an operation');
  return { jsonrpc: '2.0', result: await resultOf(api, invocation, decode, caller), id };
}

async function resultOf(
  api: VsphereApi,
  invocation: Invocation,
  decode: BlobBody['decode'],
  caller: VapiCaller,
): Promise<object> {
  try {
    return { output: await output(api, invocation, decode, caller) };
  } catch (error) {
    const told = vapiErrorOf(error);
    if (told === undefined) throw error;
    return { error: errorValue(told) };
  }
}

async function output(
  api: VsphereApi,
  { service, operation, input, security }: Invocation,
  decode: BlobBody['decode'],
  { token: header, peer }: VapiCaller,
): Promise<unknown> {
  const caller: VapiCaller = { token: tokenIn(security) ?? header, peer };
  switch (`${service} ${operation}`) {
    case `${SERVICES.session} create`:
      return { SECRET: await api.login(credentialsIn(security), peer) };
    case `${SERVICES.session} delete`:
      api.logout(caller);
      return null;
    case `${SERVICES.session} get`: {
      const { account, createdMs, lastAccessedMs } = api.session(caller);
      const times = { created_time: isoTime(createdMs), last_accessed_time: isoTime(lastAccessedMs) };
      return structure(`${SERVICES.session}.info`, { user: account.name, ...times });
    }
    case `${SERVICES.host} list`:
      return api.hosts(caller, filterIn(input.filter)).map(hostValue);
    case `${SERVICES.pool} get`:
      return infoValue(await api.info(caller, textIn(input.host)));
    case `${SERVICES.pool} add`: {
      const host = textIn(input.host);
      api.assertWriter(caller, host);
      return addValue(await api.add(caller, host, hasData(input) ? decode() : undefined));
    }
    default:
      throw new VapiError(
        'OPERATION_NOT_FOUND',
        'operation-unknown',
        'Only sessions, the list of hosts and the external pool are served here.',
      );
  }
}

function invocationIn(params: unknown): Invocation | undefined {
  if (!isObject(params)) return undefined;
  const { serviceId: service, operationId: operation, input, ctx } = params;
  if (typeof service !== 'string' || typeof operation !== 'string') return undefined;
  const security = isObject(ctx) && isObject(ctx.securityCtx) ? ctx.securityCtx : {};
  return { service, operation, input: fieldsOf(input), security };
}

function tokenIn({ schemeId, sessionId }: Invocation['security']): string | undefined {
  return schemeId === SCHEMES.session && typeof sessionId === 'string' ? sessionId : undefined;
}

function credentialsIn({
  schemeId,
  userName,
  password,
}: Invocation['security']): BasicCredentials | undefined {
  if (schemeId !== SCHEMES.password || typeof userName !== 'string' || typeof password !== 'string')
    return undefined;
  return { name: userName, password: Buffer.from(password, 'utf8') };
}

/** Whether the add specification has the blob: as it is, or wrapped by its type. */
function hasData({ spec }: Invocation['input']): boolean {
  const { data } = fieldsOf(spec);
  return data === BLOB || (isObject(data) && (data.BINARY === BLOB || data.BLOB === BLOB));
}

function filterIn(value: unknown): HostFilter {
  const fields = fieldsOf(optionalOf(value));
  const textsOf = (name: string): readonly string[] | undefined => {
    const found = optionalOf(fields[name]);
    return Array.isArray(found) ? found.map(String) : undefined;
  };
  const isElsewhere = ['folders', 'clusters', 'datacenters'].some((name) => textsOf(name) !== undefined);
  return {
    names: textsOf('names'),
    hosts: textsOf('hosts'),
    connectionStates: textsOf('connection_states'),
    isElsewhere,
  };
}

function optionalOf(value: unknown): unknown {
  return isObject(value) && 'OPTIONAL' in value ? value.OPTIONAL : value;
}

/** The fields of a structure, whatever it is called; none for anything else. */
function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  const wrapped =
    isObject(value) && isObject(value.STRUCTURE) ? Object.values(value.STRUCTURE)[0] : undefined;
  return isObject(wrapped) ? wrapped : {};
}

function textIn(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new EntropyError('request-invalid', 'input: the host is missing');
}

function hostValue({ power_state, ...summary }: HostSummary): object {
  return structure(`${SERVICES.host}.summary`, { ...summary, power_state: { OPTIONAL: power_state } });
}

function infoValue(info: PoolInfo): object {
  const fields = info.status === 'ENABLED' ? info : undefined;
  const optional = (value: number | undefined): object => ({ OPTIONAL: value ?? null });
  return structure(`${SERVICES.pool}.info`, {
    status: info.status,
    capacity: optional(fields?.capacity),
    currently_available: optional(fields?.currently_available),
    low_watermark: optional(fields?.low_watermark),
    inactive_source_timeout: optional(fields?.inactive_source_timeout),
  });
}

function addValue(result: AddResult): object {
  return structure(`${SERVICES.pool}.add_result`, { ...result });
}

function structure(name: string, fields: object): object {
  return { STRUCTURE: { [name]: fields } };
}

export function errorName(type: VapiErrorType): string {
  return `${ERRORS_PACKAGE}.${type.toLowerCase()}`;
}

function errorValue({ type, messages }: VapiError): object {
  const texts = messages.map((message) =>
    structure('com.vmware.vapi.std.localizable_message', {
      ...message,
      params: { OPTIONAL: null },
      localized: { OPTIONAL: null },
    }),
  );
  return {
    ERROR: {
      [errorName(type)]: { messages: texts, data: { OPTIONAL: null }, error_type: { OPTIONAL: type } },
    },
  };
}

function refused(id: string | number | null, code: number, message: string): object {
  return { jsonrpc: '2.0', error: { code, message }, id };
}

function idOf(id: unknown): string | number | null {
  return typeof id === 'number' || (typeof id === 'string' && id.length <= 256) ? id : null;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
