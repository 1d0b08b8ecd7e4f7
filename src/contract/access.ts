import { Type, type Static } from 'typebox';
import { FEEDER_NAME } from './feeders.ts';
import { closed, oneOf } from './schema-parts.ts';

/** Tokens and accounts as operators make them and as the daemon tells of them. */

/** What a token may be used for; `external.write` is a feeder's, and needs one. */
export const TOKEN_SCOPES = ['observe', 'external.read', 'external.write', 'random', 'config'] as const;
export type TokenScope = (typeof TOKEN_SCOPES)[number];

export const TOKEN_NAME = { minLength: 1, maxLength: 32, pattern: '^[a-z0-9][a-z0-9._-]{0,31}$' } as const;

/** A minute to ten years. */
export const TOKEN_SECONDS = { minimum: 60, maximum: 3650 * 86_400 } as const;

const scope = `(?:${TOKEN_SCOPES.map((name) => name.replace('.', '\\.')).join('|')})`;
export const SCOPE_LIST = { maxLength: 100, pattern: `^${scope}(?:,${scope}){0,4}$` } as const;

/** What the operator decides of a token; it stands in the query, because the answer is the token alone. */
export const TokenTermsSchema = Type.Object(
  {
    scope: Type.String({ ...SCOPE_LIST, description: `One or more of ${TOKEN_SCOPES.join(', ')}` }),
    expiresSeconds: Type.Optional(
      Type.Integer({ ...TOKEN_SECONDS, description: 'It holds so long; absent: until it is revoked' }),
    ),
    feeder: Type.Optional(
      Type.String({ ...FEEDER_NAME, description: 'Whose entropy is sent with it; external.write needs one' }),
    ),
  },
  closed,
);
export type TokenTerms = Static<typeof TokenTermsSchema>;

export const TokenReportSchema = Type.Object(
  {
    name: Type.String({ ...TOKEN_NAME }),
    scopes: Type.Array(oneOf(...TOKEN_SCOPES)),
    feeder: Type.String({ description: 'Empty when it is nobody’s' }),
    createdMs: Type.Integer(),
    expiresMs: Type.Union([Type.Integer(), Type.Null()], { description: 'null: it does not expire' }),
    expired: Type.Boolean(),
    lastUsedMs: Type.Union([Type.Integer(), Type.Null()], { description: 'null: not since start' }),
  },
  closed,
);
export type TokenReport = Static<typeof TokenReportSchema>;

/** As esxcli has them. Admin may read and write external entropy, ReadOnly may read, NoAccess may do nothing. */
export const ACCOUNT_ROLES = ['Admin', 'ReadOnly', 'NoAccess'] as const;
export type AccountRole = (typeof ACCOUNT_ROLES)[number];

/** No colon: RFC 7617 (Basic) ends the name there. */
export const ACCOUNT_NAME = {
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9_][A-Za-z0-9@._-]{0,63}$',
} as const;

/** In bytes; any but control characters, for they could not be sent in Basic credentials. */
export const PASSWORD_BYTES = { minimum: 8, maximum: 256 } as const;

export const ACCOUNT_DESCRIPTION = { maxLength: 200, pattern: '^[^\\p{C}\\p{Zl}\\p{Zp}]*$' } as const;

/** What is said of an account when it is added; it stands in the query, because the body is the password alone. */
export const AccountTermsSchema = Type.Object(
  {
    description: Type.Optional(Type.String({ ...ACCOUNT_DESCRIPTION })),
    feeder: Type.Optional(
      Type.String({
        ...FEEDER_NAME,
        description: 'Whose entropy the account adds; absent: of the feeder that is called like the account',
      }),
    ),
  },
  closed,
);
export type AccountTerms = Static<typeof AccountTermsSchema>;

export const AccountReportSchema = Type.Object(
  {
    name: Type.String({ ...ACCOUNT_NAME }),
    description: Type.String(),
    role: oneOf(...ACCOUNT_ROLES),
    feeder: Type.String({
      description: 'Empty: the feeder that is called like the account, if there is one',
    }),
    createdMs: Type.Integer(),
  },
  closed,
);
export type AccountReport = Static<typeof AccountReportSchema>;

/** The scopes of a list as it stands in a query. */
export function scopesOf(list: string): TokenScope[] {
  const given = list.split(',');
  return TOKEN_SCOPES.filter((name) => given.includes(name));
}
