import { ERRORS, isErrorCode, type ErrorCode, type ErrorEntry } from '../base/errors.ts';
import { EVENTS, type EventEntry, type EventId } from '../base/events.ts';
import type { ExternalReport } from '../contract/external.ts';
import type { GateReport } from '../contract/gate.ts';
import type {
  EventReport,
  FeedRecord,
  LedgerTotals,
  ParameterReport,
  SelfTestReport,
  SourceReport,
  StatusReport,
} from '../contract/outputs.ts';
import type { StartSettingReport } from '../contract/start-settings.ts';
import type { FlatRow, Row } from './formatters/output.ts';
import { timeText } from './times.ts';

/** From what the daemon tells to the rows of the shapes; times become ISO 8601 in UTC, absent ones null. */

export function statusRow(report: StatusReport): Row {
  const { gate, kernel, mask, mixer, state, sources, version, startedMs } = report;
  const feed = kernel.lastFeed;
  return {
    ...gateRow(gate),
    feedPath: kernel.path,
    feedIntervalSeconds: kernel.intervalSeconds,
    feedBytes: kernel.bytesPerFeed,
    feedsSinceStart: kernel.feedsSinceStart,
    feedWaitingSince: kernel.waitingSinceMs === null ? null : timeText(kernel.waitingSinceMs),
    feedFailure: kernel.lastFailure,
    lastFeedTime: feed === null ? null : timeText(feed.atMs),
    lastFeedBytes: feed?.bytes ?? null,
    lastFeedCreditAskedBits: feed?.creditAskedBits ?? null,
    lastFeedCreditEffectiveBits: feed?.creditEffectiveBits ?? null,
    lastFeedReseed: feed?.reseed ?? null,
    maskConfigured: mask.configured,
    maskRunning: mask.running,
    maskHonoured: mask.honoured,
    mixerBuild: mixer.build,
    mixerSha256: mixer.sha256,
    selfTestPassed: mixer.selfTest.passed,
    ...externalCells(report.external),
    stateDirectory: state.directory,
    encryptionMode: state.encryptionMode,
    stateRefused: state.refused,
    recoveryKeyState: report.recovery.state,
    version,
    started: timeText(startedMs),
    sources: sources.map(sourceRow),
  };
}

export function gateRow({ state, reason, sinceMs, degraded, whatToDo, override }: GateReport): FlatRow {
  return {
    gate: state.toUpperCase(),
    gateReason: reason,
    gateSince: timeText(sinceMs),
    degraded,
    whatToDo,
    overrideMask: override?.mask ?? null,
    overrideUntil: override === null ? null : timeText(override.untilMs),
    overrideReason: override?.reason ?? null,
    overrideBy: override?.by ?? null,
  };
}

/** Nothing is told of caches that nothing is drawn from. */
function externalCells({ enabled, level, link, ...external }: ExternalReport): FlatRow {
  return {
    externalLevel: enabled ? level : null,
    externalLink: enabled ? link : null,
    externalFeedersConnected: enabled ? external.feedersConnected : null,
    externalCreditedBits: enabled ? external.creditedBits : null,
    externalRunwaySeconds: enabled ? external.runwaySeconds : null,
  };
}

export function sourceRow(source: SourceReport): FlatRow {
  return {
    name: source.name,
    bit: source.bit,
    state: source.state,
    creditBitsPerSecond: source.creditBitsPerSecond,
    secondsToBlock: source.secondsToBlock,
    testBitsPerByte: source.testBitsPerByte,
    creditBitsPerByte: source.creditBitsPerByte,
    testedBytes: source.testedBytes,
    creditedBits: source.creditedBits,
    intermittentFailures: source.intermittentFailures,
    permanentFailures: source.permanentFailures,
    reason: source.reason,
  };
}

export function feedRow(feed: FeedRecord): FlatRow {
  return {
    sequence: feed.sequence,
    time: timeText(feed.atMs),
    bytes: feed.bytes,
    path: feed.path,
    ...creditCells(feed),
    reseed: feed.reseed,
  };
}

export function ledgerTotalsRow(totals: LedgerTotals): FlatRow {
  return {
    feeds: totals.feeds,
    bytes: totals.bytes,
    ...creditCells(totals),
    reseeds: totals.reseeds,
    since: totals.sinceMs === 0 ? null : timeText(totals.sinceMs),
  };
}

export function selfTestRow({ passed, failedTest, atMs }: SelfTestReport): FlatRow {
  return { passed, failedTest, time: timeText(atMs) };
}

export function eventRow({ sequence, atMs, severity, id, detail }: EventReport): FlatRow {
  const told = Object.entries(detail).map(([name, value]) => `${name}=${value}`);
  return { sequence, time: timeText(atMs), severity, id, detail: told.join(' ') };
}

export function parameterRow(parameter: ParameterReport): FlatRow {
  const { name, origin, range, takesEffect, description } = parameter;
  return {
    name,
    value: String(parameter.configured),
    runtime: String(parameter.runtime),
    origin,
    range,
    default: String(parameter.default),
    takesEffect: takesEffect === 'now' ? 'at once' : 'at the next start',
    description,
  };
}

/** Paths and listener beside the parameters: only another start changes them. */
export function startSettingRow(setting: StartSettingReport): FlatRow {
  const { name, value, takes, origin, default: initial, description } = setting;
  const takesEffect = 'at the next start';
  return { name, value, runtime: value, origin, range: takes, default: initial, takesEffect, description };
}

/** One code or event, or the whole of both tables; undefined when there is none of that name. */
export function explanationRows(code: string | undefined): FlatRow[] | undefined {
  if (code === undefined) return [...EXPLAINED_ERRORS.map(errorRow), ...EXPLAINED_EVENTS.map(eventEntryRow)];
  if (isErrorCode(code)) return [errorRow(code)];
  const event = EXPLAINED_EVENTS.find((id) => id === code);
  return event === undefined ? undefined : [eventEntryRow(event)];
}

const EXPLAINED_ERRORS = Object.keys(ERRORS).filter(isErrorCode).sort();
const EXPLAINED_EVENTS = Object.keys(EVENTS).filter(isEventId).sort();
export const EXPLAINED: readonly string[] = [...EXPLAINED_ERRORS, ...EXPLAINED_EVENTS];

function isEventId(text: string): text is EventId {
  return Object.hasOwn(EVENTS, text);
}

function errorRow(code: ErrorCode): FlatRow {
  const { meaning, whatToDo, http, webSocketClose, exit, retryable }: ErrorEntry = ERRORS[code];
  return {
    code,
    kind: 'error',
    severity: null,
    meaning,
    whatToDo,
    httpStatus: http,
    webSocketCloseCode: webSocketClose,
    exitCode: exit,
    retryable,
  };
}

function eventEntryRow(id: EventId): FlatRow {
  const { meaning, whatToDo, severity }: EventEntry = EVENTS[id];
  const none = { httpStatus: null, webSocketCloseCode: null, exitCode: null, retryable: null };
  return { code: id, kind: 'event', severity, meaning, whatToDo, ...none };
}

function creditCells(record: FeedRecord | LedgerTotals): FlatRow {
  const { creditedBits, creditAskedBits, creditEffectiveBits } = record;
  return {
    interruptsBits: creditedBits.interrupts,
    rdrandBits: creditedBits.rdrand,
    rdseedBits: creditedBits.rdseed,
    externalBits: creditedBits.external,
    creditAskedBits,
    creditEffectiveBits,
  };
}
