import type { Clock } from '../base/clock.ts';
import type { Environment } from '../contract/directories.ts';

/** Its own name, or that of the command whose grammar it keeps (see bin/esxcli). */
export type ProgramName = 'entropyctl' | 'esxcli';

/** All that the control command touches of its process, so that tests need none. */
export interface Io {
  /** The name it was called by. */
  readonly program: ProgramName;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly environment: Environment;
  readonly uid: number;
  /** Of the daemon: it may say where its control socket is. */
  readonly configurationFile: string;
  /** Where relative paths begin. */
  readonly workingDirectory: string;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  readonly clock: Clock;
  readonly version: string;
  /** From this call on an interrupt aborts the signal instead of ending the program; for commands without an end. */
  readonly interruption: () => AbortSignal;
}
