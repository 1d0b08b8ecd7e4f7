import path from 'node:path';
import { wipe } from '../base/bytes.ts';
import { EntropyError, errnoOf } from '../base/errors.ts';
import { readAuthorities } from '../base/tls-files.ts';
import { COMMANDS } from '../contract/commands.ts';
import { runtimeDirectory } from '../contract/directories.ts';
import { readStartSettings } from '../contract/start-settings.ts';
import type { Invocation } from './command-line.ts';
import { serverPlace, socketPlace, type DaemonPlace } from './daemon-place.ts';
import type { Io } from './io.ts';
import { readSecretLine } from './key-files.ts';

/**
 * Which daemon a command talks to: the listener that --server names, or a control socket.
 *
 * @throws EntropyError usage, socket-path-too-long, config-file-invalid, config-file-refused, and what reading token and authorities throws
 */
export function placeOf(invocation: Invocation, io: Io): DaemonPlace {
  const { server, tokenFile, authoritiesFile, runtimeDirectory: told } = invocation;
  if (server === undefined) {
    if (tokenFile !== undefined || authoritiesFile !== undefined)
      throw new EntropyError('usage', '--token-file and --ca belong to --server');
    return socketPlace(directoryOf(invocation, io));
  }
  if (told !== undefined) throw new EntropyError('usage', '--server and --runtime-dir name two daemons');
  const { workingDirectory } = io;
  const authorities =
    authoritiesFile === undefined
      ? undefined
      : readAuthorities(path.resolve(workingDirectory, authoritiesFile));
  if (tokenFile === undefined) return serverPlace({ url: server, token: undefined, authorities });
  const token = readSecretLine({ workingDirectory, name: tokenFile }, MAXIMUM_TOKEN_BYTES);
  try {
    return serverPlace({ url: server, token, authorities });
  } finally {
    wipe(token);
  }
}

/** Where the daemon's socket is: as told, as the daemon's own file has it, or by default. */
function directoryOf({ command, runtimeDirectory: told }: Invocation, io: Io): string {
  const asked = COMMANDS[command].route !== null;
  const configured = told ?? (asked ? configuredDirectory(io) : undefined);
  return configured ?? runtimeDirectory(io.environment, io.uid);
}

/** More than any token has. */
const MAXIMUM_TOKEN_BYTES = 256;

/** A file that this user may not read tells nothing; one that others could have written must not choose the daemon. */
function configuredDirectory({ configurationFile, uid }: Io): string | undefined {
  try {
    return readStartSettings(configurationFile, uid)?.['runtime-dir'];
  } catch (error) {
    if (error instanceof EntropyError && errnoOf(error.cause) === 'EACCES') return undefined;
    throw error;
  }
}
