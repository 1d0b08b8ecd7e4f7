import { wipe } from '../base/bytes.ts';
import { EntropyError, EXIT } from '../base/errors.ts';
import {
  PASSWORD_BYTES,
  TOKEN_SCOPES,
  type AccountReport,
  type AccountRole,
  type TokenReport,
} from '../contract/access.ts';
import { ROUTES } from '../contract/routes.ts';
import { optionalNumberOf, optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import { durationText } from './durations.ts';
import type { FlatRow } from './formatters/output.ts';
import { readSecretLine, writeSecretFile } from './key-files.ts';
import { timeText } from './times.ts';

/** Tokens and accounts: secrets go between files and the daemon as bytes. */

/** Makes a token and writes its file. */
export async function createToken(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const { client, workingDirectory } = surroundings;
  const name = invocation.argument ?? '';
  const tokenFile = optionalTextOf(invocation, 'output') ?? '';
  const expiresSeconds = optionalNumberOf(invocation, 'expires');
  const feeder = optionalTextOf(invocation, 'feeder');
  const scope = scopeOf(invocation);
  const query = {
    scope,
    ...(expiresSeconds === undefined ? {} : { expiresSeconds }),
    ...(feeder === undefined ? {} : { feeder }),
  };
  await writeSecretFile({ workingDirectory, name: tokenFile }, () =>
    client.callBytes(ROUTES.createToken, { params: { name }, query }),
  );
  const ends =
    expiresSeconds === undefined ? 'holds until it is revoked' : `expires in ${durationText(expiresSeconds)}`;
  return {
    ...succeeded(invocation, {
      name,
      tokenFile,
      scopes: scope,
      feeder: feeder ?? '',
      expiresSeconds: expiresSeconds ?? null,
    }),
    text: `   The token ${name} is in ${tokenFile}: whoever has that file has its scopes (${scope}).\n   It ${ends}.\n`,
  };
}

export function tokenRow({ scopes, createdMs, expiresMs, lastUsedMs, ...token }: TokenReport): FlatRow {
  return {
    ...token,
    scopes: scopes.join(','),
    created: timeText(createdMs),
    expires: expiresMs === null ? null : timeText(expiresMs),
    lastUsed: lastUsedMs === null ? null : timeText(lastUsedMs),
  };
}

/** Adds an account, or gives one another password. */
export async function sendPassword(
  invocation: Invocation,
  route: 'addAccount' | 'setPassword',
  { client, workingDirectory }: Surroundings,
): Promise<Answer> {
  const params = { name: optionalTextOf(invocation, 'id') ?? '' };
  const description = optionalTextOf(invocation, 'description');
  const feeder = optionalTextOf(invocation, 'feeder');
  const query = {
    ...(description === undefined ? {} : { description }),
    ...(feeder === undefined ? {} : { feeder }),
  };
  const name = optionalTextOf(invocation, 'password-file') ?? '';
  const bytes = readSecretLine({ workingDirectory, name }, PASSWORD_BYTES.maximum);
  try {
    await client.call(ROUTES[route], { params, query, bytes });
  } finally {
    wipe(bytes);
  }
  return { output: null, exit: EXIT.ok };
}

export async function removeAccount(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  await client.call(ROUTES.removeAccount, { params: { name: optionalTextOf(invocation, 'id') ?? '' } });
  return { output: null, exit: EXIT.ok };
}

export async function setRole(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const body = { role: optionalTextOf(invocation, 'role') };
  await client.call(ROUTES.setRole, { params: { name: optionalTextOf(invocation, 'id') ?? '' }, body });
  return { output: null, exit: EXIT.ok };
}

export function accountRow({ name, description, feeder, createdMs }: AccountReport): FlatRow {
  return { name, description, feeder, created: timeText(createdMs) };
}

const ROLE_DESCRIPTIONS: Readonly<Record<AccountRole, string>> = {
  Admin: 'Reads and adds external entropy',
  ReadOnly: 'Reads external entropy',
  NoAccess: 'May do nothing',
};

export function permissionRow({ name, role }: AccountReport): FlatRow {
  return { name, isGroup: false, role, roleDescription: ROLE_DESCRIPTIONS[role] };
}

/** The scopes of the option, in their order and each once. Throws `usage` for one that is none. */
function scopeOf(invocation: Invocation): string {
  const given = (optionalTextOf(invocation, 'scope') ?? '').split(',');
  const unknown = given.find((scope) => !TOKEN_SCOPES.some((known) => known === scope));
  if (unknown !== undefined)
    throw new EntropyError(
      'usage',
      `there is no scope ${JSON.stringify(unknown)}; there are ${TOKEN_SCOPES.join(', ')}`,
    );
  return TOKEN_SCOPES.filter((scope) => given.includes(scope)).join(',');
}
