import { text, type OutputShape } from './shape-entry.ts';

/** The shapes of the commands that deal with the recovery key. */
export const RECOVERY_SHAPES = {
  recoveryKey: {
    struct: 'RecoveryKey',
    kind: 'list',
    hint: 'table',
    fields: [text('id', 'Recovery ID'), text('key', 'Key')],
  },
  recovery: {
    struct: 'Recovery',
    kind: 'object',
    hint: 'simple',
    fields: [text('id', 'Recovery ID'), text('state', 'State'), text('escrowFile', 'Escrow File', 'none')],
  },
} as const satisfies Record<string, OutputShape>;
