import { Type } from 'typebox';
import {
  ACCOUNT_NAME,
  ACCOUNT_ROLES,
  AccountReportSchema,
  AccountTermsSchema,
  TOKEN_NAME,
  TokenReportSchema,
  TokenTermsSchema,
} from './access.ts';
import { bare, BytesSchema, route } from './route.ts';
import { closed, oneOf } from './schema-parts.ts';

/** The rows of the table of routes that deal with tokens and accounts: of the control socket alone, so that no token makes another. */

const token = {
  params: Type.Object({ name: Type.String({ ...TOKEN_NAME }) }, closed),
  querystring: bare.querystring,
} as const;

const account = {
  params: Type.Object({ name: Type.String({ ...ACCOUNT_NAME }) }, closed),
  querystring: bare.querystring,
} as const;

const stateErrors = ['state-damaged', 'state-unwritable'] as const;
const passwordErrors = ['media-type-unsupported', 'credential-busy', ...stateErrors] as const;

export const ACCESS_ROUTES = {
  tokens: route(
    'GET',
    '/v1/tokens',
    'local-read',
    'The tokens with their scopes, never the tokens themselves',
    {
      ...bare,
      answer: Type.Array(TokenReportSchema),
      errors: [],
    },
  ),
  createToken: route(
    'POST',
    '/v1/tokens/:name',
    'local-change',
    'Make a token and answer it as a line of text; it is kept as a digest, and cannot be had again',
    {
      params: token.params,
      querystring: TokenTermsSchema,
      body: undefined,
      answer: BytesSchema,
      errors: ['token-exists', 'token-limit', 'feeder-unknown', ...stateErrors],
    },
  ),
  revokeToken: route('DELETE', '/v1/tokens/:name', 'local-change', 'Revoke a token', {
    ...token,
    body: undefined,
    answer: TokenReportSchema,
    errors: ['token-unknown', ...stateErrors],
  }),
  accounts: route('GET', '/v1/accounts', 'local-read', 'The accounts with their roles', {
    ...bare,
    answer: Type.Array(AccountReportSchema),
    errors: [],
  }),
  addAccount: route(
    'POST',
    '/v1/accounts/:name',
    'local-change',
    'Add an account with the role NoAccess; the body is its password, 8 to 256 bytes of UTF-8',
    {
      params: account.params,
      querystring: AccountTermsSchema,
      body: BytesSchema,
      answer: AccountReportSchema,
      errors: ['account-exists', 'account-limit', 'feeder-unknown', ...passwordErrors],
    },
  ),
  setPassword: route(
    'POST',
    '/v1/accounts/:name/password',
    'local-change',
    'Give an account another password, the body',
    {
      ...account,
      body: BytesSchema,
      answer: AccountReportSchema,
      errors: ['account-unknown', ...passwordErrors],
    },
  ),
  setRole: route('POST', '/v1/accounts/:name/role', 'local-change', 'Give an account a role', {
    ...account,
    body: Type.Object({ role: oneOf(...ACCOUNT_ROLES) }, closed),
    answer: AccountReportSchema,
    errors: ['account-unknown', ...stateErrors],
  }),
  removeAccount: route('DELETE', '/v1/accounts/:name', 'local-change', 'Remove an account', {
    ...account,
    body: undefined,
    answer: AccountReportSchema,
    errors: ['account-unknown', ...stateErrors],
  }),
} as const;
