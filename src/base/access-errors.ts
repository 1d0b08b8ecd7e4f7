import { entry, EXIT } from './error-entry.ts';

/** The rows of the table of errors that deal with tokens and accounts. */
export const ACCESS_ERRORS = {
  'credential-missing': entry(
    401,
    EXIT.authentication,
    false,
    'The route takes a token, and the request carries none.',
    'Send `Authorization: Bearer TOKEN`; `entropyctl mixer token create` makes one. Or call on the control socket.',
  ),
  'credential-wrong': entry(
    401,
    EXIT.authentication,
    false,
    'The token or password is not one that this host knows, or it was revoked.',
    'Check what was sent; `entropyctl mixer token list` and `system account list` show what there is.',
  ),
  'token-expired': entry(
    401,
    EXIT.authentication,
    false,
    'The token has expired.',
    'Make another with `entropyctl mixer token create`, and revoke this one.',
  ),
  'scope-missing': entry(
    403,
    EXIT.permission,
    false,
    'The token is good, but none of its scopes allows this route.',
    'Use a token with the scope that the detail names; /openapi.json lists the scope of each route.',
  ),
  'credential-rate-exceeded': entry(
    429,
    EXIT.authentication,
    true,
    'Too many credentials were tried: from this address, or in all.',
    'Wait as long as Retry-After says. `entropyctl mixer events` shows who tries.',
  ),
  'credential-busy': entry(
    503,
    EXIT.authentication,
    true,
    'As many passwords wait to be checked as may: each takes a good part of a second on purpose.',
    'Try again in a moment.',
  ),
  'token-unknown': entry(
    404,
    EXIT.usage,
    false,
    'There is no token of this name.',
    'See `entropyctl mixer token list`.',
  ),
  'token-exists': entry(
    409,
    EXIT.usage,
    false,
    'There is a token of this name already.',
    'Choose another name, or revoke that one first.',
  ),
  'token-limit': entry(
    409,
    EXIT.failed,
    false,
    'There are as many tokens as there can be.',
    'Revoke one that is not needed.',
  ),
  'account-unknown': entry(
    404,
    EXIT.usage,
    false,
    'There is no account of this name.',
    'See `entropyctl system account list`.',
  ),
  'account-exists': entry(
    409,
    EXIT.usage,
    false,
    'There is an account of this name already.',
    'Choose another name, or `entropyctl system account set` for another password.',
  ),
  'account-limit': entry(
    409,
    EXIT.failed,
    false,
    'There are as many accounts as there can be.',
    'Remove one that is not needed.',
  ),
} as const;
