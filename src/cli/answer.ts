import type { Clock } from '../base/clock.ts';
import { EXIT } from '../base/errors.ts';
import type { CommandEntry } from '../contract/command-entry.ts';
import { COMMANDS } from '../contract/commands.ts';
import type { Invocation } from './command-line.ts';
import type { ControlClient } from './control-client.ts';
import type { Output, Row } from './formatters/output.ts';

/** What a command is made of: what surrounds it, what it answers, and how it reads its options. */

export interface Surroundings {
  readonly client: ControlClient;
  readonly clock: Clock;
  /** Where relative paths begin. */
  readonly workingDirectory: string;
  /** Whether a person reads the answer as it comes. */
  readonly isTerminal: boolean;
}

export interface Answer {
  /** null: the command prints nothing. */
  readonly output: Output | null;
  /** Replaces the simple form, for a command that has one of its own. */
  readonly text?: string;
  /** For the reader on standard error, whatever the form of the answer. */
  readonly note?: string;
  readonly exit: number;
}

export function succeeded({ command }: Invocation, ...found: readonly Row[]): Answer {
  const { output: shape }: CommandEntry = COMMANDS[command];
  if (shape === null) throw new TypeError(`${command} has no output shape`);
  return { output: { shape, rows: found }, exit: EXIT.ok };
}

/** The value of an option, which the table gives a default or requires. */
export function numberOf(invocation: Invocation, name: string): number {
  const value = optionalNumberOf(invocation, name);
  if (value === undefined) throw new TypeError(`the command line was not checked for --${name}`);
  return value;
}

export function optionalNumberOf({ options }: Invocation, name: string): number | undefined {
  const value = options.get(name);
  return typeof value === 'number' ? value : undefined;
}

export function optionalTextOf({ options }: Invocation, name: string): string | undefined {
  const value = options.get(name);
  return typeof value === 'string' ? value : undefined;
}
