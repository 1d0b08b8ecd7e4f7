import { Check, Errors } from 'typebox/schema';
import type { TSchema } from 'typebox';
import { EntropyError } from '../base/errors.ts';

export type RequestPart = 'params' | 'querystring' | 'headers' | 'body';

export type Validated = { readonly value: unknown } | { readonly error: EntropyError };

/** The validator of one part of a route, as fastify asks for it. */
export function compileValidator(route: {
  readonly schema: TSchema;
  readonly httpPart?: string;
}): (value: unknown) => Validated {
  const { schema, httpPart } = route;
  if (httpPart !== 'params' && httpPart !== 'querystring' && httpPart !== 'headers' && httpPart !== 'body') {
    throw new TypeError(`no validator for the ${httpPart ?? 'unnamed'} part of a request`);
  }
  return validatorOf(schema, httpPart);
}

/**
 * A validator for one part of a request. Schemas are interpreted: on this path of a few requests a second that costs
 * some microseconds each, where compiling them all would cost the start of the daemon tens of milliseconds.
 */
export function validatorOf(schema: TSchema, part: RequestPart): (value: unknown) => Validated {
  return (given) => {
    const value = part === 'body' ? given : fromText(schema, given);
    return Check(schema, value) ? { value } : { error: refusal(schema, part, value) };
  };
}

/** Parameters of a URL are text: it is read as the type that is wanted, where it is of it, and defaults are filled in. */
function fromText(schema: TSchema, given: unknown): unknown {
  if (!isRecord(given) || !('properties' in schema) || !isRecord(schema.properties)) return given;
  const value: Record<string, unknown> = { ...given };
  for (const [name, property] of Object.entries(schema.properties)) {
    if (!isRecord(property)) continue;
    const text = value[name];
    if (text === undefined && 'default' in property) value[name] = property.default;
    if (typeof text === 'string') value[name] = typed(text, property.type);
  }
  return value;
}

/** The value of a text that is one of the type; any other text stays as it is, for the schema to refuse. */
function typed(text: string, type: unknown): unknown {
  switch (type) {
    case 'integer':
      return INTEGER.test(text) ? Number(text) : text;
    case 'number':
      return DECIMAL.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' || text === 'false' ? text === 'true' : text;
    default:
      return text;
  }
}

const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/;
const DECIMAL = /^(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,20})?$/;

/** Names the first field that does not fit and why, never its value. */
function refusal(schema: TSchema, part: RequestPart, value: unknown): EntropyError {
  const [, errors] = Errors(schema, value);
  const error = errors.find(({ keyword }) => keyword !== 'boolean') ?? errors[0];
  const where = printable(`${part === 'querystring' ? 'query' : part}${error?.instancePath ?? ''}`);
  const names =
    error?.keyword === 'additionalProperties'
      ? `: ${printable(error.params.additionalProperties.join(', '))}`
      : '';
  return new EntropyError('request-invalid', `${where} ${error?.message ?? 'is refused'}${names}`);
}

const SHOWN_CHARACTERS = 80;

/** Names come from the caller: one line of printable ASCII, bounded. */
function printable(text: string): string {
  return text.slice(0, SHOWN_CHARACTERS).replaceAll(/[^\x20-\x7e]/g, '?');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
