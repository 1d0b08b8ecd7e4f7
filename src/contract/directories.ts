/**
 * Where the daemon keeps its files and where its programs look for them: one pure function for both, so that they
 * cannot disagree. The order is the environment systemd gives, the host's places for root, the user's own (XDG).
 */

const NAME = 'entropy-mixer';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Folder of the control socket and the chosen address; gone after a reboot. */
export function runtimeDirectory(environment: Environment, uid: number): string {
  const given = firstOf(environment.RUNTIME_DIRECTORY);
  if (given !== undefined) return given;
  if (uid === 0) return `/run/${NAME}`;
  const base = absolute(environment.XDG_RUNTIME_DIR);
  return base === undefined ? `/tmp/${NAME}-${uid}` : `${base}/${NAME}`;
}

/** Folder of what survives a restart: configuration archive, ledger, caches. */
export function stateDirectory(environment: Environment, uid: number): string {
  const given = firstOf(environment.STATE_DIRECTORY);
  if (given !== undefined) return given;
  if (uid === 0) return `/var/lib/${NAME}`;
  const home = absolute(environment.HOME);
  const base =
    absolute(environment.XDG_STATE_HOME) ?? (home === undefined ? undefined : `${home}/.local/state`);
  return base === undefined ? `/var/tmp/${NAME}-${uid}` : `${base}/${NAME}`;
}

export function controlSocketPath(runtimeDirectory: string): string {
  return `${runtimeDirectory}/control.sock`;
}

/** systemd joins several directories with colons (systemd.exec(5), RuntimeDirectory=); the first is ours. */
function firstOf(list: string | undefined): string | undefined {
  return absolute(list?.split(':')[0]);
}

/** The XDG base directory specification has relative paths ignored; an empty variable counts as unset. */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith('/') === true ? path : undefined;
}
