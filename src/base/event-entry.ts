/** What a row of the table of events is, and how it is written. */

/** Severities from RFC 5424 that this project uses, least first. */
export type Severity = 'info' | 'notice' | 'warning' | 'error' | 'alert';

export interface EventEntry {
  readonly severity: Severity;
  /** What it says, in one sentence. */
  readonly meaning: string;
  /** What an operator should do; empty when nothing is to be done. */
  readonly whatToDo: string;
  /** True for what happens all the time: of such events the oldest are forgotten first. */
  readonly routine: boolean;
}

export function event(severity: Severity, meaning: string, whatToDo = ''): EventEntry {
  return { severity, meaning, whatToDo, routine: false };
}

export function routine(severity: Severity, meaning: string): EventEntry {
  return { severity, meaning, whatToDo: '', routine: true };
}
