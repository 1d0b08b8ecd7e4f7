import { pino, type DestinationStream, type Logger } from 'pino';
import { EVENTS, type EventBus, type EventRecord, type Severity } from '../base/events.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { LogLevel } from './options.ts';

const LEVEL_OF: Record<Severity, Exclude<LogLevel, 'debug'>> = {
  info: 'info',
  notice: 'info',
  warning: 'warn',
  error: 'error',
  alert: 'error',
};

export interface LoggingOptions {
  readonly format: 'text' | 'json';
  readonly level: LogLevel;
}

/** A log on standard output, written as it happens: nothing is lost when the process dies. */
export function createLog(options: LoggingOptions): Log {
  const destination = pino.destination({ fd: 1, sync: true });
  const stream: DestinationStream =
    options.format === 'json' ? destination : { write: (line) => void destination.write(textLine(line)) };
  const logger = pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
  return {
    debug: (message, fields) => write(logger, 'debug', message, fields),
    info: (message, fields) => write(logger, 'info', message, fields),
    warn: (message, fields) => write(logger, 'warn', message, fields),
    error: (message, fields) => write(logger, 'error', message, fields),
  };
}

/**
 * Tells every event of the bus in the log. A kernel feed that only follows another is told at debug level: the ledger has them all,
 * and what an operator wants to see is when feeding begins, fails and begins again.
 */
export function logEvents(bus: EventBus, log: Log): void {
  let previous: EventRecord['id'] | undefined;
  bus.subscribe((record) => {
    const entry = EVENTS[record.id];
    const again = entry.routine && previous === record.id;
    previous = record.id;
    const level = again ? 'debug' : LEVEL_OF[record.severity];
    const whatToDo = level === 'warn' || level === 'error' ? entry.whatToDo : '';
    log[level](record.id, { ...record.detail, meaning: `${entry.meaning} ${whatToDo}`.trim() });
  });
}

function write(logger: Logger, level: LogLevel, message: string, fields: LogFields = {}): void {
  logger[level](fields, message);
}

const LEVEL_NAMES: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info ', 40: 'warn ', 50: 'error' };

/** One JSON line of pino as a line for people: time, level, message, meaning, then the rest as key=value. */
export function textLine(json: string): string {
  const { level, time, msg, meaning, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${printable(value)}`);
  const sentence = typeof meaning === 'string' ? `: ${meaning}` : '';
  const tail = fields.length === 0 ? '' : ` (${fields.join(' ')})`;
  return `${String(time)} ${LEVEL_NAMES[Number(level)] ?? String(level)} ${String(msg)}${sentence}${tail}\n`;
}

/** JSON escapes every control character, so that no detail can start a line of its own or steer a terminal. */
function printable(value: unknown): string {
  const text = String(value);
  return /^[\w.,:/|+-]+$/.test(text) ? text : JSON.stringify(text);
}
