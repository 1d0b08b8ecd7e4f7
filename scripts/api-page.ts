/**
 * Writes docs/api.md from the table of routes and their schemas.
 *
 *   node --import tsx scripts/api-page.ts           writes it
 *   node --import tsx scripts/api-page.ts --check   exits 1 when it is another
 */
import { createHash } from 'node:crypto';
import type { TSchema } from 'typebox';
import { TOKEN_SCOPES } from '../src/contract/access.ts';
import { allErrors, BytesSchema, COMMON_ERRORS, type RouteEntry } from '../src/contract/route.ts';
import { ACCESS_RULES, accessErrors, type RouteAccess } from '../src/contract/route-access.ts';
import { ROUTE_NAMES, ROUTES, type RouteName } from '../src/contract/routes.ts';
import { requestDigest } from '../src/protocol/request-digest.ts';
import { curlLine } from './api-examples.ts';
import { settlePage } from './made-page.ts';

settlePage('api', apiPage(), 'the routes');

function apiPage(): string {
  return [introduction(), feedingText(), '## Routes', ...ROUTE_NAMES.map(routeText)].join('\n\n') + '\n';
}

/** The curl lines below are run in their order by tests/programs/api-page.test.ts. */
function introduction(): string {
  return `# The HTTP interface

Made by \`scripts/api-page.ts\` from the table of routes (\`src/contract/routes.ts\`); change that, not this. The running daemon answers the
same as OpenAPI 3.1 on \`/openapi.json\`. A test runs the lines below, in their order, against a daemon.

## Where, and who may ask

- **The control socket**, \`<runtime-dir>/control.sock\`: the peer's credentials count. Its group may read, root and the daemon's user may change.
- **TCP**, the address of \`--listen\` (the file \`<runtime-dir>/address\` has it), the loopback or TLS ([tls.md](tls.md)): \`/healthz\` and \`/readyz\`
  are open, all else takes a token in \`Authorization: Bearer\`. What makes keys, tokens and accounts is not served there.

A request that carries a token is judged by the token, wherever it came in. Scopes: ${TOKEN_SCOPES.map((scope) => `\`${scope}\``).join(', ')};
\`external.write\` belongs to a feeder. A token is shown once, in the file that is made for it; the daemon keeps a digest.

\`\`\`sh
umask 077
entropyctl mixer token create operator --scope observe,external.read,random,config --expires 90d --output operator.token
printf 'Authorization: Bearer %s' "$(cat operator.token)" > operator.header   # curl reads it from there: no token in its arguments
API=http://$(cat "$RUNTIME_DIR/address") SOCKET=$RUNTIME_DIR/control.sock
printf 'correct horse battery staple' > password                              # for the accounts below
\`\`\`

Errors are problem documents (RFC 9457, \`application/problem+json\`) with a stable \`code\` of [errors.md](errors.md). Beside its own a route may answer
${listOf(COMMON_ERRORS)}; one that takes a token also ${listOf(accessErrors('observe'))}. A 401 says in \`WWW-Authenticate\` what is
missing, a 429 in \`Retry-After\` when to come again. Times are milliseconds since 1970-01-01 UTC.`;
}

/** Feeding by requests, with a worked digest. */
function feedingText(): string {
  const token = `emt_${'A'.repeat(43)}`;
  const key = createHash('sha256').update('entropy-mixer token v1\0').update(token).digest();
  const payload = Buffer.alloc(32, 0x61);
  return `## Feeding by requests

A feeder that does not hold a WebSocket sends its entropy with \`POST /v1/entropy\`, under a token of its own. Class, rate, sequence, tests at the door,
seen payloads, credit, links and receipts are those of the feed ([protocol.md](protocol.md)); what differs stands here. On the wire the bytes
are as secret as the connection: use TLS, or the feed, wherever others could listen.

\`\`\`sh
entropyctl mixer feeder enroll hsm --class drbg --bits-per-byte 1/32 --key-file hsm.enrolment
entropyctl mixer token create hsm --scope external.write --feeder hsm --output hsm.token
printf 'Authorization: Bearer %s' "$(cat hsm.token)" > hsm.header
head -c 4096 /dev/urandom > entropy.bin                                       # in place of your source, which this is none
\`\`\`

- **Sequence.** Each request names its own in \`Entropy-Sequence\`: the last that was accepted, plus one; the first is 1. \`409 sequence-used\` and
  \`409 feed-sequence-wrong\` give \`nextSequence\`, and took nothing. \`GET /v1/entropy\` tells it too.
- **Never twice.** After a 201, and after no answer at all, the bytes are gone: do not send them again under another sequence. When the answer was lost,
  \`GET /v1/entropy/receipts?from=N\` has its receipt if the request arrived; when it did not, destroy the bytes and draw new ones. After any answer
  of 4xx or 5xx but \`state-unwritable\`, \`engine-busy\`, \`engine-stopped\` and \`internal\` nothing was taken.
- **Room.** \`429\` comes with \`grantedBytes\`, what may be sent at once, and \`Retry-After\`; nothing was taken. One request of a feeder at a time.
- **Disabled.** \`403 external-disabled\`: bit 8 is not in the mask of the host.
- **Silence.** A session lasts from request to request and ends, with its signed end, when none came for twice the lost timeout, or when the feeder
  connects to the feed. \`GET /v1/entropy\` is a sign of life.

**Receipts** are the records of protocol.md, 264 bytes, one chain a session; \`entropyctl mixer receipt verify\` verifies them. Two fields are told
otherwise: the session id begins with \`REST\` and has 12 random bytes, and the frame digest is no SHA-256 of ciphertext, since there is none. It is
HMAC-SHA-256 over the sequence (u64, big-endian) and the body, under the key SHA-256(\`entropy-mixer token v1\` ‖ 00 ‖ token): feeder and host can make it,
and whoever sees receipts cannot try out entropy against it. For the token \`${token}\`, sequence 1 and 32 bytes \`61\`:

    key     ${key.toString('hex')}
    digest  ${requestDigest(key, 1, payload).toString('hex')}

The same by openssl, for the request below (it puts the key into its arguments: a check by hand, on a host of your own):

\`\`\`sh
KEY=$({ printf 'entropy-mixer token v1\\0'; tr -d '\\n' < hsm.token; } | openssl dgst -sha256 -r | cut -c1-64)
{ printf '\\0\\0\\0\\0\\0\\0\\0\\1'; cat entropy.bin; } | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -r | cut -c1-64
\`\`\``;
}

function routeText(name: RouteName): string {
  const route: RouteEntry = ROUTES[name];
  const line = curlLine(name);
  const own = allErrors(route).filter(
    (code) =>
      !(COMMON_ERRORS as readonly string[]).includes(code) && !accessErrors(route.access).includes(code),
  );
  const parts = [
    `### ${route.method} ${route.url.replaceAll(/:([a-z]+)/g, '{$1}')}`,
    `${sentence(route.summary)} ${accessText(route.access)}`,
    line === undefined ? undefined : `\`\`\`sh\n${line}\n\`\`\``,
    fieldsText(route),
    `Answers ${route.success}: ${answerText(route.schema.response[200])}`,
    own.length === 0 ? undefined : `Own errors: ${listOf(own)}.`,
  ];
  return parts.filter((part) => part !== undefined).join('\n\n');
}

function accessText(access: RouteAccess): string {
  const { token, peer } = ACCESS_RULES[access];
  if (access === 'open') return 'Open to everybody.';
  if (token === 'none') return `On the control socket alone, to peers who may ${peer}.`;
  const scope = token === 'any' ? 'any token' : `tokens with the scope \`${token}\``;
  return access === 'external.write' ? `For ${scope}, wherever.` : `For ${scope}, and peers who may ${peer}.`;
}

/** What a request takes: one line a parameter, header or member of the body. */
function fieldsText({ schema: { params, querystring, headers, body } }: RouteEntry): string | undefined {
  const lines = [
    ...fieldLines('path', params),
    ...fieldLines('query', querystring),
    ...fieldLines('header', headers),
    ...(body === BytesSchema ? ['- body: bytes as they are'] : fieldLines('body', body)),
  ];
  return lines.length === 0 ? undefined : lines.join('\n');
}

function fieldLines(place: string, schema: TSchema | undefined): string[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, TSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, field]) => {
    const isOptional = !required.includes(name) || 'default' in field;
    const about = 'description' in field ? `. ${String(field.description)}` : '';
    return `- ${place} \`${name}\`: ${typeText(field)}${isOptional ? ', optional' : ''}${about}`;
  });
}

function answerText(schema: TSchema): string {
  if (schema === BytesSchema) return 'bytes as they are.';
  const { items, properties } = schema as { items?: TSchema; properties?: Record<string, TSchema> };
  if (items !== undefined) return `a list of ${answerText(items)}`;
  if (properties === undefined || Object.keys(properties).length === 0) return 'a document.';
  const members = Object.entries(properties).map(([name, field]) => `\`${name}\` ${typeText(field)}`);
  return `${members.join(', ')}.`;
}

/** The keywords of JSON Schema that the contract uses. */
interface Described {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly TSchema[];
  readonly const?: unknown;
  readonly items?: TSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly default?: string | number | boolean;
}

/** A schema in few words: its type, its choices or its bounds. */
function typeText(schema: TSchema): string {
  const {
    type,
    enum: choices,
    anyOf,
    const: literal,
    items,
    minimum,
    maximum,
    minLength,
    maxLength,
    default: initial,
  } = schema as Described;
  if (anyOf !== undefined) return anyOf.map(typeText).join(' or ');
  if (literal !== undefined) return JSON.stringify(literal);
  if (choices !== undefined)
    return choices.length > 12 ? 'word' : choices.map((one) => `\`${String(one)}\``).join(' | ');
  if (items !== undefined) return `list of ${typeText(items)}`;
  const [low, high] = type === 'string' ? [minLength, maxLength] : [minimum, maximum];
  const unit = type === 'string' ? ' characters' : '';
  const bounds = high === undefined ? '' : ` (${String(low ?? 0)} to ${String(high)}${unit})`;
  return `${String(type)}${bounds}${initial === undefined ? '' : `, ${String(initial)} by default`}`;
}

function listOf(codes: readonly string[]): string {
  return codes.map((code) => `\`${code}\``).join(', ');
}

function sentence(text: string): string {
  return `${text}.`;
}
