/** What a log line may carry: plain values, named. Never bytes, keys, PINs or tokens. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

/** The only way to log below the daemon; src/daemon alone imports the logging library behind it. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
