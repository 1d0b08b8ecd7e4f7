// Writes out/openapi.json from the table of routes: the document that GET /openapi.json answers.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify from 'fastify';
import packageJson from '../package.json' with { type: 'json' };
import { registerV1Routes } from '../src/api/v1-routes.ts';
import { TOKEN_SCOPES } from '../src/contract/access.ts';
import { ACCESS_RULES } from '../src/contract/route-access.ts';
import { ERRORS } from '../src/base/errors.ts';
import type { ControlService } from '../src/contract/control-service.ts';
import { PROBLEM_MEDIA_TYPE } from '../src/contract/problem.ts';
import { ProblemSchema } from '../src/contract/outputs.ts';
import { BYTES_MEDIA_TYPE, allErrors, BytesSchema, type RouteEntry } from '../src/contract/route.ts';
import { ROUTE_NAMES, ROUTES } from '../src/contract/routes.ts';

const TCP = { url: 'http://127.0.0.1:8740', description: 'The address of --listen; https with TLS' };
const CONTROL_SOCKET = {
  url: 'http://localhost',
  description: 'The control socket, <runtime-dir>/control.sock, where the peer’s credentials count',
};

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
mkdirSync(path.join(root, 'out'), { recursive: true });
writeFileSync(path.join(root, 'out', 'openapi.json'), JSON.stringify(await openApiDocument()));

async function openApiDocument(): Promise<object> {
  const app = fastify().withTypeProvider<TypeBoxTypeProvider>();
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: packageJson.name,
        version: packageJson.version,
        description: packageJson.description,
        license: { name: packageJson.license, identifier: packageJson.license },
      },
      servers: [TCP, CONTROL_SOCKET],
    },
  });
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => JSON.stringify);
  // The routes are read, never called: no service stands behind them.
  const service = {} as ControlService;
  registerV1Routes(app, { openApiFile: undefined }, { service });
  await app.ready();
  const { paths, ...document } = app.swagger();
  return {
    ...document,
    paths: withAnswers(paths ?? {}),
    components: {
      schemas: { Problem: ProblemSchema },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: `A token of \`entropyctl mixer token create\`, with scopes: ${TOKEN_SCOPES.join(', ')}`,
        },
      },
    },
  };
}

/** Every answer with what it means; problems by reference and under their media type. */
function withAnswers(paths: object): object {
  const described: Record<string, Record<string, object>> = {};
  for (const name of ROUTE_NAMES) {
    const route: RouteEntry = ROUTES[name];
    const url = route.url.replaceAll(/:([a-z]+)/g, '{$1}');
    const method = route.method.toLowerCase();
    const operation = member(member(paths, url), method);
    described[url] = {
      ...described[url],
      [method]: {
        operationId: name,
        ...withBody(route, withOptionalDefaults(operation)),
        ...accessOf(route),
        responses: answersOf(name, member(operation, 'responses')),
      },
    };
  }
  return described;
}

function answersOf(name: keyof typeof ROUTES, responses: object): object {
  const codes = allErrors(ROUTES[name]);
  const problem = { content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } } };
  const route: RouteEntry = ROUTES[name];
  const answers: Record<string, object> = { ...success(name, member(responses, String(route.success))) };
  for (const status of new Set(codes.map((code) => ERRORS[code].http))) {
    const meant = codes.filter((code) => ERRORS[code].http === status);
    const description = meant.map((code) => `\`${code}\`: ${ERRORS[code].meaning}`).join(' ');
    answers[status] = { description, ...problem };
  }
  return answers;
}

/** The scope that a token needs; what takes none is served on the control socket alone. */
function accessOf({ access }: RouteEntry): object {
  if (access === 'open') return { security: [] };
  const { token } = ACCESS_RULES[access];
  if (token === 'none') return { security: [], servers: [CONTROL_SOCKET] };
  return { security: [{ token: token === 'any' ? [] : [token] }] };
}

/** A parameter with a default may be left out. */
function withOptionalDefaults(operation: object): object {
  if (!('parameters' in operation) || !Array.isArray(operation.parameters)) return operation;
  const parameters = operation.parameters.map((parameter: object) =>
    'default' in member(parameter, 'schema') ? { ...parameter, required: false } : parameter,
  );
  return { ...operation, parameters };
}

/** A body of bytes is not JSON, and may be left out. */
function withBody(route: RouteEntry, operation: object): object {
  if (route.schema.body !== BytesSchema) return operation;
  return { ...operation, requestBody: { content: { [BYTES_MEDIA_TYPE]: {} } } };
}

/** The stream answers by changing the protocol; what its frames hold is told beside it. */
function success(name: keyof typeof ROUTES, answer: object): Record<string, object> {
  const route: RouteEntry = ROUTES[name];
  if (route.schema.response[200] === BytesSchema) {
    return { 200: { description: 'Success', content: { [BYTES_MEDIA_TYPE]: {} } } };
  }
  if (name === 'sendEntropy') {
    const content = { [BYTES_MEDIA_TYPE]: {}, ...member(answer, 'content') };
    return { 201: { description: 'Taken: the receipt', content } };
  }
  if (name !== 'eventStream') return { 200: { ...answer, description: 'Success' } };
  return {
    101: { ...answer, description: 'The WebSocket opens; each text frame is one event as given here' },
  };
}

function member(value: object, key: string): object {
  const found: unknown = Object.entries(value).find(([name]) => name === key)?.[1];
  if (typeof found !== 'object' || found === null) throw new Error(`the generated document lacks ${key}`);
  return found;
}
