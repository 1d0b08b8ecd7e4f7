import type { RouteName } from './routes.ts';
import type { OutputShape } from './shape-entry.ts';

/** What a row of the table of commands is. */

export interface OptionEntry {
  /** Without dashes. */
  readonly long: string;
  readonly short?: string;
  /** `flag` takes no value; a `number` is a decimal (0.5) or a fraction (1/32), a `duration` seconds (90) or 90s, 10m, 2h. */
  readonly type: 'string' | 'integer' | 'number' | 'duration' | 'flag';
  readonly required?: true;
  /** May be given more than once; the values are joined by commas, and so have none. */
  readonly repeatable?: true;
  /** Bounds of an integer, a number or a duration in seconds, or of a string's length in characters; both included. */
  readonly minimum?: number;
  readonly maximum?: number;
  /** Used when the option is not given. */
  readonly default?: number;
  readonly choices?: readonly string[];
  /** Set when the value names a file or a directory, which a shell can complete. */
  readonly path?: 'file' | 'directory';
  readonly description: string;
}

export interface ArgumentEntry {
  /** In capitals, as the usage shows it; FILE is a path, which a shell can complete. */
  readonly name: string;
  readonly required: boolean;
  readonly choices?: readonly string[];
  /** Where there are no choices: what it has to match, and that in words. */
  readonly pattern?: string;
  readonly rule?: string;
  readonly description: string;
}

export interface CommandEntry {
  readonly words: readonly string[];
  readonly summary: string;
  readonly argument?: ArgumentEntry;
  readonly options: readonly OptionEntry[];
  /** The route it calls; null: answered by the program itself. */
  readonly route: RouteName | null;
  /** null: prints nothing when it succeeds. */
  readonly output: OutputShape | null;
}
