import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { EntropyError, errnoOf, isEntropyError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { KIB } from '../base/units.ts';
import { PROBLEM_MEDIA_TYPE, problemOf } from '../contract/problem.ts';
import type { RouteAccess } from '../contract/route.ts';
import type { ControlApp, ServerDependencies, ServerOptions } from './control-app.ts';
import type { Caller } from './auth/authenticator.ts';
import { problemHeaders } from './problem-headers.ts';
import { registerV1Routes } from './v1-routes.ts';
import { compileValidator } from './validation.ts';
import { registerVsphereRoutes } from './vsphere/vsphere-routes.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set for every route of the table. */
    access?: RouteAccess;
  }

  interface FastifyRequest {
    /** Who asks; set before anything of the body is read. */
    caller: Caller;
  }
}

const BODY_LIMIT_BYTES = 64 * KIB;

/**
 * The HTTP interface without a listener: `inject` drives it in tests, a listener passes it requests by `routing`.
 *
 *   request ─► access (onRequest) ─► body parsed, ≤ 64 KiB ─► schema ─► handler ─► answer
 *                 └ 401, 403, 429      └ payload-too-large      └ request-invalid └ any code of the table
 */
export function buildServer(options: ServerOptions, dependencies: ServerDependencies): ControlApp {
  const { authenticator, counters, log } = dependencies;
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, error, log),
    schemaController: { compilersFactory: { buildValidator: notBuilt, buildSerializer: notBuilt } },
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.setValidatorCompiler(compileValidator);
  // Answers are our own typed values: no serializer is compiled for each at start.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.removeContentTypeParser('text/plain');
  app.decorateRequest('caller');
  app.addHook('onRequest', (request, reply, next) => {
    void reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    request.caller = authenticator.authorize(request.raw, accessOf(request));
    next();
  });
  app.addHook('preValidation', refuseUnstatedBody);
  app.addHook('onResponse', (_request, reply, next) => {
    counters.add('http.requests');
    if (reply.statusCode >= 400) counters.add('http.errors');
    next();
  });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error, log));
  app.setNotFoundHandler((request) => {
    throw new EntropyError('route-unknown', `no route for ${request.method} on this path`);
  });
  registerV1Routes(app, options, dependencies);
  const { vsphere } = dependencies;
  if (vsphere !== undefined) registerVsphereRoutes(app, { vsphere, log });
  return app;
}

/** Stands in for fastify's default compilers, whose libraries would otherwise be loaded at start and never used. */
function notBuilt(): never {
  throw new Error('a route asked for a default compiler');
}

/** A route that does not say who may use it is a mistake, and nobody may. */
function accessOf({ is404, routeOptions: { config, url } }: FastifyRequest): RouteAccess {
  if (is404) return 'open';
  if (config.access === undefined) throw new Error(`broken invariant: ${url ?? 'a route'} states no access`);
  return config.access;
}

function refuseUnstatedBody(request: FastifyRequest, _reply: FastifyReply, next: () => void): void {
  if (
    request.body !== undefined &&
    request.body !== null &&
    request.routeOptions.schema?.body === undefined
  ) {
    throw new EntropyError('request-invalid', 'body: the route takes none');
  }
  next();
}

/** The one place where an error becomes an answer; only what the table says and our own details leave the process. */
function sendProblem(reply: FastifyReply, error: unknown, log: Log): FastifyReply {
  const told = operationalErrorOf(error);
  if (told.code === 'internal') log.error('request failed', { reason: messageOf(error) });
  return reply
    .code(told.entry.http)
    .type(PROBLEM_MEDIA_TYPE)
    .headers(problemHeaders(told))
    .send(JSON.stringify(problemOf(told.code, told.message, told.members)));
}

function operationalErrorOf(error: unknown): EntropyError {
  if (isEntropyError(error)) return error;
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413)
    return new EntropyError('payload-too-large', `the body is over ${BODY_LIMIT_BYTES} bytes`);
  if (status === 415) return new EntropyError('media-type-unsupported', 'the body is of another type');
  if (status === 404) return new EntropyError('route-unknown', 'no such route');
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new EntropyError(
      'request-invalid',
      `the request cannot be read (${errnoOf(error) ?? 'malformed'})`,
    );
  }
  return new EntropyError('internal', 'the request failed; the log of the daemon says why');
}
