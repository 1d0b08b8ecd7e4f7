import { Type } from 'typebox';
import { ACCESS_ROUTES } from './access-routes.ts';
import { ENTROPY_ROUTES } from './entropy-routes.ts';
import { ENCRYPTION_ROUTES } from './encryption-routes.ts';
import { EXTERNAL_ROUTES } from './external-routes.ts';
import { INSTALL_SEED_ROUTES } from './install-seed.ts';
import { GateReportSchema, OVERRIDE_MASK, OVERRIDE_SECONDS } from './gate.ts';
import {
  ConfigurationReportSchema,
  EventPageSchema,
  EventReportSchema,
  HealthReportSchema,
  LedgerReportSchema,
  ReadyReportSchema,
  SelfTestReportSchema,
  SourceReportSchema,
  StatusReportSchema,
} from './outputs.ts';
import { ConfigurationChangeSchema } from './parameters.ts';
import { ZEROIZE_ROUTES } from './zeroize-routes.ts';
import { PASSPHRASE_ROUTES } from './passphrase-routes.ts';
import { RECOVERY_ROUTES } from './recovery-routes.ts';
import { bare, route } from './route.ts';
import { closed } from './schema-parts.ts';

export const LEDGER_LIMIT = { minimum: 1, maximum: 4096, default: 20 } as const;
export const EVENTS_LIMIT = { minimum: 1, maximum: 4096, default: 1024 } as const;
/** Printable characters only: the reason goes to the audit trail and to terminals. */
export const REASON = { minLength: 1, maxLength: 200, pattern: '^[^\\p{C}\\p{Zl}\\p{Zp}]*$' } as const;

const sequence = { minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const named = {
  params: Type.Object({ name: Type.String({ minLength: 1, maxLength: 32 }) }, closed),
  querystring: bare.querystring,
} as const;

/**
 * The closed table of routes, from which the server, the OpenAPI document and the control command all come. Every
 * route states what it takes and answers; whatever is not stated is refused.
 */
export const ROUTES = {
  health: route('GET', '/healthz', 'open', 'The daemon is alive and answers', {
    ...bare,
    answer: HealthReportSchema,
    errors: [],
  }),
  ready: route(
    'GET',
    '/readyz',
    'open',
    'The gate is open and not overridden: full-entropy blocks can be extracted from the sources that the policy asks for',
    {
      ...bare,
      answer: ReadyReportSchema,
      errors: ['gate-closed'],
    },
  ),
  status: route(
    'GET',
    '/v1/status',
    'observe',
    'Gate, kernel feed, mask, sources, mixer, state and counters',
    {
      ...bare,
      answer: StatusReportSchema,
      errors: [],
    },
  ),
  overrideGate: route(
    'POST',
    '/v1/gate/override',
    'config',
    'Use the sources of another mask for a time, in place of an override in force: break-glass, loud and never stored',
    {
      ...bare,
      body: Type.Object(
        {
          mask: Type.Integer({ ...OVERRIDE_MASK, description: 'The sum of bits as in entropySources' }),
          seconds: Type.Integer({ ...OVERRIDE_SECONDS, description: 'It ends by itself after these' }),
          reason: Type.String({ ...REASON, description: 'Why; it is recorded' }),
        },
        closed,
      ),
      answer: GateReportSchema,
      errors: ['override-refused', 'source-unavailable'],
    },
  ),
  restoreGate: route(
    'DELETE',
    '/v1/gate/override',
    'config',
    'End the override of the gate at once; without one nothing changes',
    { ...bare, answer: GateReportSchema, errors: [] },
  ),
  sources: route('GET', '/v1/sources', 'observe', 'The noise sources with their states, rates and cutoffs', {
    ...bare,
    answer: Type.Array(SourceReportSchema),
    errors: [],
  }),
  testSource: route(
    'POST',
    '/v1/sources/:name/test',
    'config',
    'Run the start-up health test of a source on demand',
    {
      ...named,
      body: undefined,
      answer: SourceReportSchema,
      errors: ['source-unknown', 'source-unavailable', 'source-masked-out'],
    },
  ),
  restoreSource: route(
    'POST',
    '/v1/sources/:name/restore',
    'config',
    'Put a failed source back to its start-up test',
    {
      ...named,
      body: Type.Object({ reason: Type.String({ ...REASON, description: 'Why; it is recorded' }) }, closed),
      answer: SourceReportSchema,
      errors: ['source-unknown', 'source-unavailable', 'source-masked-out', 'source-not-failed'],
    },
  ),
  ledger: route(
    'GET',
    '/v1/ledger',
    'observe',
    'The last kernel feeds, newest first, and the running totals',
    {
      ...bare,
      querystring: Type.Object({ limit: Type.Integer({ ...LEDGER_LIMIT }) }, closed),
      answer: LedgerReportSchema,
      errors: [],
    },
  ),
  events: route('GET', '/v1/events', 'observe', 'Kept events with a sequence above `after`, oldest first', {
    ...bare,
    querystring: Type.Object(
      {
        after: Type.Integer({ ...sequence, default: 0, description: '0: all that are kept' }),
        limit: Type.Integer({ ...EVENTS_LIMIT }),
      },
      closed,
    ),
    answer: EventPageSchema,
    errors: ['event-lost'],
  }),
  eventStream: route(
    'GET',
    '/v1/events/stream',
    'observe',
    'A WebSocket of events, one JSON text frame each: first those kept above `after`, then each new one',
    {
      ...bare,
      querystring: Type.Object(
        { after: Type.Optional(Type.Integer({ ...sequence, description: 'Absent: new events only' })) },
        closed,
      ),
      answer: EventReportSchema,
      errors: ['upgrade-required', 'server-busy', 'event-lost', 'reader-slow'],
    },
  ),
  configuration: route(
    'GET',
    '/v1/config',
    'observe',
    'Each parameter: configured, in force and default, its origin and range, and when a change takes effect',
    { ...bare, answer: ConfigurationReportSchema, errors: [] },
  ),
  changeConfiguration: route(
    'PATCH',
    '/v1/config',
    'config',
    'Change parameters: a value for each key, null for its default; durable before the answer, all or none',
    {
      ...bare,
      body: ConfigurationChangeSchema,
      answer: ConfigurationReportSchema,
      errors: [
        'parameter-unknown',
        'parameter-invalid',
        'parameter-read-only',
        'state-unwritable',
        'state-damaged',
      ],
    },
  ),
  selfTest: route(
    'POST',
    '/v1/selftest',
    'config',
    'Run the known-answer tests of the mixer on a scratch state',
    {
      ...bare,
      answer: SelfTestReportSchema,
      errors: [],
    },
  ),
  ...ENCRYPTION_ROUTES,
  ...PASSPHRASE_ROUTES,
  ...ZEROIZE_ROUTES,
  ...EXTERNAL_ROUTES,
  ...ACCESS_ROUTES,
  ...RECOVERY_ROUTES,
  ...INSTALL_SEED_ROUTES,
  ...ENTROPY_ROUTES,
  openApi: route('GET', '/openapi.json', 'known', 'This interface as an OpenAPI 3.1 document', {
    ...bare,
    answer: Type.Object({}, { additionalProperties: true }),
    errors: ['route-unknown'],
  }),
} as const;

export type RouteName = keyof typeof ROUTES;
export const ROUTE_NAMES = Object.keys(ROUTES) as RouteName[];
