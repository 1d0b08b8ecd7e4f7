import type { FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Counters } from '../base/counters.ts';
import type { Log } from '../base/log.ts';
import type { ControlService } from '../contract/control-service.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { VsphereApi } from './vsphere/vsphere-api.ts';

/** What the server and its routes are made of. */

export interface ServerOptions {
  /** The OpenAPI document that the build made; undefined where it was not built. */
  readonly openApiFile: string | undefined;
}

export interface ServerDependencies {
  readonly service: ControlService;
  readonly authenticator: Authenticator;
  /** The vSphere-shaped interface; undefined: it is not served. */
  readonly vsphere?: VsphereApi | undefined;
  readonly counters: Counters;
  readonly log: Log;
}

export type ControlApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyInstance['log'],
  TypeBoxTypeProvider
>;
