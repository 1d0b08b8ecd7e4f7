import { integer, text, truth, type OutputShape } from './shape-entry.ts';

/** The shapes of the commands that deal with tokens and accounts. */

const TOKEN: OutputShape = {
  struct: 'Token',
  kind: 'list',
  hint: 'table',
  fields: [
    text('name', 'Name'),
    text('scopes', 'Scopes'),
    text('feeder', 'Feeder'),
    text('created', 'Created'),
    text('expires', 'Expires', 'never'),
    truth('expired', 'Expired'),
    text('lastUsed', 'Last Used', 'not since start'),
  ],
  tableColumns: ['name', 'scopes', 'feeder', 'expires', 'expired', 'lastUsed'],
};

export const ACCESS_SHAPES = {
  tokens: TOKEN,
  token: { ...TOKEN, kind: 'object', hint: 'simple' },
  newToken: {
    struct: 'NewToken',
    kind: 'object',
    hint: 'simple',
    fields: [
      text('name', 'Name'),
      text('tokenFile', 'Token File'),
      text('scopes', 'Scopes'),
      text('feeder', 'Feeder'),
      integer('expiresSeconds', 'Expires Seconds', 'never'),
    ],
  },
  accounts: {
    struct: 'Account',
    kind: 'list',
    hint: 'table',
    fields: [
      text('name', 'User ID'),
      text('description', 'Description'),
      text('feeder', 'Feeder'),
      text('created', 'Created'),
    ],
    tableColumns: ['name', 'description', 'feeder'],
  },
  permissions: {
    struct: 'Permission',
    kind: 'list',
    hint: 'table',
    fields: [
      text('name', 'Principal'),
      truth('isGroup', 'Is Group'),
      text('role', 'Role'),
      text('roleDescription', 'Role Description'),
    ],
  },
} as const satisfies Record<string, OutputShape>;
