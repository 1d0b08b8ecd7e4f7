import type { CommandEntry } from './command-entry.ts';
import { text, type OutputShape } from './shape-entry.ts';
import { HOST_NAME_TEXT } from './zeroize.ts';

const ZEROIZE: OutputShape = {
  struct: 'ZeroizedPart',
  kind: 'list',
  hint: 'table',
  fields: [text('part', 'Part'), text('outcome', 'Outcome'), text('because', 'Because')],
};

export const ZEROIZE_COMMANDS = {
  zeroize: {
    words: ['mixer', 'zeroize'],
    summary:
      'Destroy keys, configuration, caches and the mark in the TPM, and end the daemon. It cannot be undone, and no recovery key helps',
    options: [
      {
        long: 'yes-destroy',
        type: 'string',
        required: true,
        minimum: HOST_NAME_TEXT.minLength,
        maximum: HOST_NAME_TEXT.maxLength,
        description: 'The name of the host that is meant, as `hostname` prints it there',
      },
    ],
    route: 'zeroize',
    output: ZEROIZE,
  },
} as const satisfies Record<string, CommandEntry>;
