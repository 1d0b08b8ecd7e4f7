import type { CommandEntry } from './command-entry.ts';
import { text, type OutputShape } from './shape-entry.ts';

/** The rows of the table of commands that deal with TLS. */

const PATH = { minimum: 1, maximum: 4096 } as const;

export const SELF_SIGNED_DAYS = { minimum: 1, maximum: 3650, default: 365 } as const;

const SELF_SIGNED: OutputShape = {
  struct: 'SelfSignedCertificate',
  kind: 'object',
  hint: 'simple',
  fields: [
    text('certificateFile', 'Certificate File'),
    text('keyFile', 'Key File'),
    text('names', 'Names'),
    text('validUntil', 'Valid Until'),
    text('pin', 'Pin'),
  ],
};

export const TLS_COMMANDS = {
  selfSigned: {
    words: ['mixer', 'tls', 'self-signed'],
    summary: 'Make a key and a certificate that it signs itself, for a lab; needs no daemon',
    options: [
      {
        long: 'cert',
        short: 'c',
        type: 'string',
        required: true,
        ...PATH,
        description: 'Where to write the certificate, never over another file',
      },
      {
        long: 'key',
        short: 'k',
        type: 'string',
        required: true,
        ...PATH,
        description: 'Where to write the key, mode 0600, never over another file',
      },
      {
        long: 'name',
        short: 'n',
        type: 'string',
        repeatable: true,
        minimum: 1,
        maximum: 253,
        description:
          'A name or address that clients use, as often as needed; by default the host name, localhost, 127.0.0.1 and ::1',
      },
      {
        long: 'days',
        short: 'd',
        type: 'integer',
        ...SELF_SIGNED_DAYS,
        description: 'How long it is valid',
      },
    ],
    route: null,
    output: SELF_SIGNED,
  },
} as const satisfies Record<string, CommandEntry>;
