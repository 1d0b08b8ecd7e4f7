import { Type, type Static } from 'typebox';
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { EVENTS, type EventId } from '../base/events.ts';
import { SOURCE_NAMES, SOURCE_STATES } from '../base/names.ts';
import { ExternalCacheReportSchema, ExternalReportSchema } from './external.ts';
import { GateReportSchema } from './gate.ts';
import { RecoveryReportSchema } from './recovery.ts';
import { closed, oneOf } from './schema-parts.ts';

/**
 * What the daemon tells: one schema per answer, from which types, validation, OpenAPI and the control command's
 * formatters all come. A quantity's name ends in its unit; times are milliseconds since 1970-01-01 UTC.
 */

export const SourceNameSchema = oneOf(...SOURCE_NAMES);
export const SourceStateSchema = oneOf(...SOURCE_STATES);

/** Bits credited, one figure a source; multiples of 1/1024 bit. */
export const CreditBySourceSchema = Type.Object(
  {
    interrupts: Type.Number({ minimum: 0 }),
    rdrand: Type.Number({ minimum: 0 }),
    rdseed: Type.Number({ minimum: 0 }),
    external: Type.Number({ minimum: 0 }),
  },
  closed,
);

export const CutoffsSchema = Type.Object(
  {
    rctIntermittent: Type.Integer(),
    rctPermanent: Type.Integer(),
    aptWindowSamples: Type.Integer(),
    aptIntermittent: Type.Integer(),
    aptPermanent: Type.Integer(),
  },
  closed,
);

export const SourceReportSchema = Type.Object(
  {
    name: SourceNameSchema,
    bit: Type.Integer({ description: 'Its bit in entropySources' }),
    state: SourceStateSchema,
    /** Why the state is what it is, for people; empty when there is nothing to say. */
    reason: Type.String(),
    testBitsPerByte: Type.Number({ description: 'Min-entropy claimed for the health tests, per byte' }),
    creditBitsPerByte: Type.Number({
      description: 'Credit in force, per byte; 0 when another source counts it',
    }),
    creditBitsPerSecond: Type.Number({
      description: 'Credit this source can give at its measured pace; 0 only when it can give none',
    }),
    secondsToBlock: Type.Union([Type.Number(), Type.Null()], {
      description: 'Time in which this source alone fills a block from nothing; null when never',
    }),
    testedBytes: Type.Integer({ minimum: 0 }),
    creditedBits: Type.Number({ minimum: 0, description: 'Credit given since start' }),
    intermittentFailures: Type.Integer({ minimum: 0 }),
    permanentFailures: Type.Integer({ minimum: 0 }),
    cutoffs: CutoffsSchema,
  },
  closed,
);
export type SourceReport = Static<typeof SourceReportSchema>;

export const FeedPathSchema = oneOf('ioctl', 'write');
export type FeedPath = Static<typeof FeedPathSchema>;

export const FeedRecordSchema = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1, description: 'Number of this feed since the ledger began' }),
    atMs: Type.Integer(),
    bytes: Type.Integer({ minimum: 0 }),
    path: FeedPathSchema,
    creditedBits: CreditBySourceSchema,
    creditAskedBits: Type.Integer({ minimum: 0, description: 'What RNDADDENTROPY was asked to credit' }),
    creditEffectiveBits: Type.Integer({
      minimum: 0,
      description:
        'By how much the kernel raised its own count: 0 once it is initialised, whatever was asked',
    }),
    reseed: Type.String({ description: '`done`, `unavailable`, or the errno RNDRESEEDCRNG answered' }),
  },
  closed,
);
export type FeedRecord = Static<typeof FeedRecordSchema>;

export const LedgerTotalsSchema = Type.Object(
  {
    feeds: Type.Integer({ minimum: 0 }),
    bytes: Type.Integer({ minimum: 0 }),
    creditedBits: CreditBySourceSchema,
    creditAskedBits: Type.Integer({ minimum: 0 }),
    creditEffectiveBits: Type.Integer({ minimum: 0 }),
    reseeds: Type.Integer({ minimum: 0 }),
    sinceMs: Type.Integer({ description: 'When the first feed was recorded; 0 when none was' }),
  },
  closed,
);
export type LedgerTotals = Static<typeof LedgerTotalsSchema>;

export const LedgerReportSchema = Type.Object(
  { totals: LedgerTotalsSchema, records: Type.Array(FeedRecordSchema) },
  closed,
);
export type LedgerReport = Static<typeof LedgerReportSchema>;

export const KernelReportSchema = Type.Object(
  {
    path: Type.Union([FeedPathSchema, Type.Null()], { description: 'null until the first feed' }),
    intervalSeconds: Type.Integer(),
    bytesPerFeed: Type.Integer(),
    feedsSinceStart: Type.Integer({ minimum: 0 }),
    lastFeed: Type.Union([FeedRecordSchema, Type.Null()]),
    /** Since when a due feed has been waiting for a block; null when none is. */
    waitingSinceMs: Type.Union([Type.Integer(), Type.Null()]),
    lastFailure: Type.String({ description: 'Empty when the last feed succeeded' }),
  },
  closed,
);
export type KernelReport = Static<typeof KernelReportSchema>;

export const MaskReportSchema = Type.Object(
  {
    configured: Type.Integer({ minimum: 0, maximum: 15 }),
    running: Type.Integer({ minimum: 0, maximum: 15, description: 'What `configured` resolved to at start' }),
    honoured: Type.Integer({ minimum: 0, maximum: 15, description: 'Bits whose source is healthy now' }),
  },
  closed,
);
export type MaskReport = Static<typeof MaskReportSchema>;

export const SelfTestReportSchema = Type.Object(
  { passed: Type.Boolean(), failedTest: Type.String(), atMs: Type.Integer() },
  closed,
);
export type SelfTestReport = Static<typeof SelfTestReportSchema>;

export const MixerReportSchema = Type.Object(
  {
    build: oneOf('simd', 'scalar', 'debug'),
    sha256: Type.String({ description: 'Digest of the module in use, hexadecimal' }),
    selfTest: SelfTestReportSchema,
  },
  closed,
);

export const StateReportSchema = Type.Object(
  {
    directory: Type.String(),
    encryptionMode: oneOf('NONE', 'TPM'),
    /** Boots after this one in which the seal is suspended; null when it is not. */
    suspendedBoots: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    /** Code of the error that made the archive be refused; empty when it was opened. */
    refused: Type.String(),
  },
  closed,
);
export type StateReport = Static<typeof StateReportSchema>;
/** What of it stays as the start found it. */
export type StateAtStart = Pick<StateReport, 'directory' | 'refused'>;

/** What the engine thread knows: everything but the daemon's own frame. */
export const EngineReportSchema = Type.Object(
  {
    gate: GateReportSchema,
    kernel: KernelReportSchema,
    mask: MaskReportSchema,
    sources: Type.Array(SourceReportSchema),
    mixer: MixerReportSchema,
    external: ExternalCacheReportSchema,
    counters: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
  },
  closed,
);
export type EngineReport = Static<typeof EngineReportSchema>;

export const StatusReportSchema = Type.Object(
  {
    version: Type.String(),
    startedMs: Type.Integer(),
    nowMs: Type.Integer(),
    state: StateReportSchema,
    recovery: RecoveryReportSchema,
    ...EngineReportSchema.properties,
    external: ExternalReportSchema,
  },
  closed,
);
export type StatusReport = Static<typeof StatusReportSchema>;

export const EventReportSchema = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1 }),
    id: Type.Unsafe<EventId>(Type.Enum(Object.keys(EVENTS))),
    severity: oneOf('info', 'notice', 'warning', 'error', 'alert'),
    atMs: Type.Integer(),
    detail: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
  },
  closed,
);
export type EventReport = Static<typeof EventReportSchema>;

/** RFC 9457 problem details; `type` is about:blank because `code` is the stable name. */
export const ProblemSchema = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Unsafe<ErrorCode>(Type.Enum(Object.keys(ERRORS))),
    detail: Type.String(),
    retryable: Type.Boolean(),
    whatToDo: Type.String(),
  },
  { additionalProperties: true },
);
export type Problem = Static<typeof ProblemSchema>;

/** Kept events after a position. A reader that finds `oldest` above the next he wanted has missed some. */
export const EventPageSchema = Type.Object(
  {
    oldest: Type.Integer({
      minimum: 0,
      description: 'From this sequence on none but routine events is missing',
    }),
    latest: Type.Integer({ minimum: 0, description: 'Sequence of the newest event; 0 before the first' }),
    records: Type.Array(EventReportSchema),
  },
  closed,
);
export type EventPageReport = Static<typeof EventPageSchema>;

export const ParameterValueSchema = Type.Union([Type.Integer(), Type.Boolean()]);
export type ParameterValue = Static<typeof ParameterValueSchema>;

export const ParameterReportSchema = Type.Object(
  {
    name: Type.String({ description: 'Its key in a change' }),
    type: oneOf('integer', 'boolean'),
    description: Type.String(),
    configured: ParameterValueSchema,
    runtime: Type.Union([Type.Integer(), Type.Boolean()], { description: 'The value in force now' }),
    default: ParameterValueSchema,
    stored: Type.Union([ParameterValueSchema, Type.Null()], {
      description: 'What the state archive holds, in force unless a flag or file wins; null: the default',
    }),
    origin: oneOf('flag', 'file', 'store', 'default'),
    range: Type.String({ description: 'The values it takes, for people' }),
    takesEffect: oneOf('now', 'next-start'),
  },
  closed,
);
export type ParameterReport = Static<typeof ParameterReportSchema>;

export const StartSettingReportSchema = Type.Object(
  {
    name: Type.String({ description: 'As a flag and in the configuration file' }),
    takes: Type.String({ description: 'What stands for its value, for people' }),
    description: Type.String(),
    value: Type.String({ description: 'Empty when it has none' }),
    default: Type.String(),
    origin: oneOf('flag', 'file', 'default'),
  },
  closed,
);

export const ConfigurationReportSchema = Type.Object(
  {
    parameters: Type.Array(ParameterReportSchema),
    startSettings: Type.Array(StartSettingReportSchema, {
      description: 'Paths and listener, which the daemon was started with and which are never stored',
    }),
    refused: Type.String({
      description: 'Code of the error that made the stored values be refused; empty when they were read',
    }),
  },
  closed,
);
export type ConfigurationReport = Static<typeof ConfigurationReportSchema>;

export const HealthReportSchema = Type.Object({ alive: Type.Literal(true) }, closed);

/** A daemon that is not ready answers a problem with the code gate-closed and the member `reason` instead. */
export const ReadyReportSchema = Type.Object({ ready: Type.Literal(true) }, closed);
