import {
  ACCOUNT_NAME,
  ACCOUNT_ROLES,
  SCOPE_LIST,
  TOKEN_NAME,
  TOKEN_SCOPES,
  TOKEN_SECONDS,
} from './access.ts';
import type { ArgumentEntry, CommandEntry, OptionEntry } from './command-entry.ts';
import { FEEDER_NAME } from './feeders.ts';
import { SHAPES } from './shapes.ts';

/** The rows of the table of commands that deal with tokens and accounts. */

const TOKEN = {
  name: 'NAME',
  required: true,
  pattern: TOKEN_NAME.pattern,
  rule: '1 to 32 characters of a-z, 0-9, dot, underscore and hyphen, the first a letter or digit',
  description: 'The token',
} as const satisfies ArgumentEntry;

const ID = {
  long: 'id',
  short: 'i',
  type: 'string',
  required: true,
  minimum: ACCOUNT_NAME.minLength,
  maximum: ACCOUNT_NAME.maxLength,
  description: 'Name of the account',
} as const satisfies OptionEntry;

const PASSWORD_FILE = {
  long: 'password-file',
  short: 'p',
  type: 'string',
  required: true,
  minimum: 1,
  maximum: 4096,
  description:
    'File with the password, 8 to 256 bytes in its one line, which nobody else may read; /dev/stdin asks there',
} as const satisfies OptionEntry;

const FEEDER = {
  long: 'feeder',
  short: 'f',
  type: 'string',
  minimum: FEEDER_NAME.minLength,
  maximum: FEEDER_NAME.maxLength,
} as const;

export const ACCESS_COMMANDS = {
  createToken: {
    words: ['mixer', 'token', 'create'],
    summary:
      'Make a token for the network interfaces and write it to a file; the daemon keeps its digest alone',
    argument: TOKEN,
    options: [
      {
        long: 'scope',
        short: 's',
        type: 'string',
        required: true,
        minimum: 1,
        maximum: SCOPE_LIST.maxLength,
        description: `What it may be used for, one or more of ${TOKEN_SCOPES.join(',')}`,
      },
      {
        long: 'expires',
        short: 'e',
        type: 'duration',
        ...TOKEN_SECONDS,
        description: 'How long it holds, such as 90d; by default until it is revoked',
      },
      { ...FEEDER, description: 'Whose entropy is sent with it; the scope external.write needs a feeder' },
      {
        long: 'output',
        short: 'o',
        type: 'string',
        required: true,
        minimum: 1,
        maximum: 4096,
        description: 'Where to write it, mode 0600, never over another file',
      },
    ],
    route: 'createToken',
    output: SHAPES.newToken,
  },
  tokens: {
    words: ['mixer', 'token', 'list'],
    summary: 'List the tokens with their scopes, when they expire and when they were used',
    options: [],
    route: 'tokens',
    output: SHAPES.tokens,
  },
  revokeToken: {
    words: ['mixer', 'token', 'revoke'],
    summary: 'Revoke a token: it is good for nothing from now on',
    argument: TOKEN,
    options: [],
    route: 'revokeToken',
    output: SHAPES.token,
  },
  addAccount: {
    words: ['system', 'account', 'add'],
    summary: 'Add an account; it may do nothing until it is given a role',
    options: [
      ID,
      PASSWORD_FILE,
      {
        long: 'description',
        short: 'd',
        type: 'string',
        minimum: 0,
        maximum: 200,
        description: 'What it is for',
      },
      {
        ...FEEDER,
        description: 'Whose entropy it adds; by default of the feeder that is called like the account',
      },
    ],
    route: 'addAccount',
    output: null,
  },
  accounts: {
    words: ['system', 'account', 'list'],
    summary: 'List the accounts',
    options: [],
    route: 'accounts',
    output: SHAPES.accounts,
  },
  removeAccount: {
    words: ['system', 'account', 'remove'],
    summary: 'Remove an account',
    options: [ID],
    route: 'removeAccount',
    output: null,
  },
  setPassword: {
    words: ['system', 'account', 'set'],
    summary: 'Give an account another password',
    options: [ID, PASSWORD_FILE],
    route: 'setPassword',
    output: null,
  },
  permissions: {
    words: ['system', 'permission', 'list'],
    summary: 'List the accounts with their roles and what these allow',
    options: [],
    route: 'accounts',
    output: SHAPES.permissions,
  },
  setRole: {
    words: ['system', 'permission', 'set'],
    summary: 'Give an account a role',
    options: [
      ID,
      {
        long: 'role',
        short: 'r',
        type: 'string',
        required: true,
        choices: ACCOUNT_ROLES,
        description: 'Admin reads and adds external entropy, ReadOnly reads, NoAccess does nothing',
      },
    ],
    route: 'setRole',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;
