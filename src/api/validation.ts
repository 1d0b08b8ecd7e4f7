import { Check, Errors } from 'typebox/schema';
import type { TSchema } from 'typebox';
import { EntropyError } from '../base/errors.ts';

export type RequestPart = 'params' | 'querystring' | 'body';

export type Validated = { readonly value: unknown } | { readonly error: EntropyError };

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

/** Parameters of a URL are text: whole decimal numbers become integers where one is wanted, and defaults are filled in. */
function fromText(schema: TSchema, given: unknown): unknown {
  if (!isRecord(given) || !('properties' in schema) || !isRecord(schema.properties)) return given;
  const value: Record<string, unknown> = { ...given };
  for (const [name, property] of Object.entries(schema.properties)) {
    if (!isRecord(property)) continue;
    const text = value[name];
    if (text === undefined && 'default' in property) value[name] = property.default;
    if (property.type === 'integer' && typeof text === 'string' && DECIMAL.test(text))
      value[name] = Number(text);
  }
  return value;
}

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;

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
