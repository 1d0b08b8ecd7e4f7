import { Type, type TObject, type TSchema } from 'typebox';
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { ProblemSchema } from './outputs.ts';
import { accessErrors, type RouteAccess } from './route-access.ts';
import { closed } from './schema-parts.ts';

export type { RouteAccess } from './route-access.ts';

/** What a row of the table of routes is, and how it is written. */

/** What any route may answer besides its own errors. */
export const COMMON_ERRORS = [
  'request-invalid',
  'permission-denied',
  'engine-busy',
  'engine-stopped',
  'internal',
] as const satisfies readonly ErrorCode[];

export const BYTES_MEDIA_TYPE = 'application/octet-stream';

/**
 * Bytes as they are, application/octet-stream, in an answer or a body: keys and random bytes never become JSON or a
 * string. Whoever holds them wipes them when they are sent or used.
 */
export const BytesSchema = Type.Unsafe<Uint8Array>(
  Type.String({ contentMediaType: BYTES_MEDIA_TYPE, description: 'Bytes as they are' }),
);
export type TBytes = typeof BytesSchema;

const nothing = Type.Object({}, closed);

/** A route without parameters, query and body. */
export const bare = { params: nothing, querystring: nothing, body: undefined } as const;

export interface RouteEntry<
  Params extends TObject = TObject,
  Query extends TObject = TObject,
  Body extends TSchema | undefined = TSchema | undefined,
  Answer extends TSchema = TSchema,
> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly summary: string;
  readonly access: RouteAccess;
  /** Its own errors; those of `allErrors` come on top. */
  readonly errors: readonly ErrorCode[];
  /** Status of an answer that is none of them. */
  readonly success: 200 | 201;
  /** In the shape that fastify and its OpenAPI plugin read. A route without a body schema refuses a body. */
  readonly schema: {
    readonly params: Params;
    readonly querystring: Query;
    /** Only those that the route asks for; names in small letters. */
    readonly headers?: TObject;
    readonly body: Body;
    /** The answer stands under 200, whatever the status of success. */
    readonly response: { readonly 200: Answer } & Readonly<Record<number, TSchema>>;
  };
}

interface RouteParts<Params, Query, Body, Answer> {
  readonly params: Params;
  readonly querystring: Query;
  readonly headers?: TObject;
  readonly body: Body;
  readonly success?: 200 | 201;
  readonly answer: Answer;
  readonly errors: readonly ErrorCode[];
}

export function route<P extends TObject, Q extends TObject, B extends TSchema | undefined, A extends TSchema>(
  method: RouteEntry['method'],
  url: string,
  access: RouteAccess,
  summary: string,
  { params, querystring, headers, body, success = 200, answer, errors }: RouteParts<P, Q, B, A>,
): RouteEntry<P, Q, B, A> {
  const problems = Object.fromEntries(
    allErrors({ access, errors }).map((code) => [ERRORS[code].http, ProblemSchema]),
  );
  return {
    method,
    url,
    access,
    summary,
    errors,
    success,
    schema: {
      params,
      querystring,
      ...(headers === undefined ? {} : { headers }),
      body,
      response: { ...problems, [success]: answer, 200: answer },
    },
  };
}

/** Every error that a route may answer, its own first. */
export function allErrors({ access, errors }: Pick<RouteEntry, 'access' | 'errors'>): ErrorCode[] {
  return [...new Set([...errors, ...accessErrors(access), ...COMMON_ERRORS])];
}
