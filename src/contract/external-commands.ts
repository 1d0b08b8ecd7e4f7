import { FEEDER_CLASSES } from '../base/names.ts';
import type { ArgumentEntry, CommandEntry, OptionEntry } from './command-entry.ts';
import { BYTES_PER_SECOND, CERTIFICATE, FEEDER_NAME, WEIGHT } from './feeders.ts';
import { SHAPES } from './shapes.ts';

/** The rows of the table of commands that deal with external entropy. */

const FEEDER = {
  name: 'NAME',
  required: true,
  pattern: FEEDER_NAME.pattern,
  rule: '1 to 32 characters of a-z, 0-9, dot, underscore and hyphen, the first a letter or digit',
  description: 'The feeder',
} as const satisfies ArgumentEntry;

const PATH = { minimum: 1, maximum: 4096, path: 'file' } as const;

const RECEIPTS = {
  name: 'FILE',
  required: true,
  description: 'Receipts as entropy-feed --receipts keeps them, one after the other',
} as const satisfies ArgumentEntry;

const KEY_OPTIONS = [
  {
    long: 'key-file',
    short: 'k',
    type: 'string',
    ...PATH,
    description:
      'Where to write the enrolment file, mode 0600, never over another; NAME.enrolment by default',
  },
  {
    long: 'import-key',
    short: 'i',
    type: 'integer',
    minimum: 0,
    maximum: 1_023,
    description:
      'Read the key, 32 bytes and no more, from this open file descriptor; the host makes one by default',
  },
] as const satisfies readonly OptionEntry[];

export const EXTERNAL_COMMANDS = {
  external: {
    words: ['mixer', 'external', 'get'],
    summary:
      'Get the fill and credit of the caches of external entropy, the draw on them and how long they last',
    options: [],
    route: 'external',
    output: SHAPES.external,
  },
  disableFeeder: {
    words: ['mixer', 'feeder', 'disable'],
    summary: 'End the connection of a feeder and refuse it from now on; what it gave stays cached',
    argument: FEEDER,
    options: [],
    route: 'disableFeeder',
    output: SHAPES.feeder,
  },
  enableFeeder: {
    words: ['mixer', 'feeder', 'enable'],
    summary: 'Let a disabled or suspended feeder in again; its tests begin anew',
    argument: FEEDER,
    options: [],
    route: 'enableFeeder',
    output: SHAPES.feeder,
  },
  enrollFeeder: {
    words: ['mixer', 'feeder', 'enroll'],
    summary: 'Enrol a feeder and write its enrolment file, which holds its key',
    argument: FEEDER,
    options: [
      {
        long: 'class',
        short: 'c',
        type: 'string',
        required: true,
        choices: FEEDER_CLASSES,
        description: 'Who vouches for its bytes',
      },
      {
        long: 'bits-per-byte',
        short: 'b',
        type: 'number',
        required: true,
        minimum: 0,
        maximum: 8,
        description: 'What a byte is worth, such as 7.5 or 1/32, rounded down to 1/1024',
      },
      {
        long: 'certificate',
        type: 'string',
        minimum: CERTIFICATE.minLength,
        maximum: CERTIFICATE.maxLength,
        description: 'Certificate or report of the source; class full-entropy requires it',
      },
      {
        long: 'max-rate',
        type: 'integer',
        ...BYTES_PER_SECOND,
        description: 'Bytes a second that it may send; by default as many as the host takes from any',
      },
      {
        long: 'weight',
        type: 'integer',
        ...WEIGHT,
        description: 'Its share of room in the caches that several feeders want; 1 by default',
      },
      ...KEY_OPTIONS,
    ],
    route: 'enrollFeeder',
    output: SHAPES.enrolment,
  },
  feeders: {
    words: ['mixer', 'feeder', 'list'],
    summary: 'List the feeders with class, rate, state, link and what they gave since the daemon started',
    options: [],
    route: 'feeders',
    output: SHAPES.feeders,
  },
  revokeFeeder: {
    words: ['mixer', 'feeder', 'revoke'],
    summary: 'Forget a feeder and its key; what it gave and is still cached is never used',
    argument: FEEDER,
    options: [],
    route: 'revokeFeeder',
    output: SHAPES.feeder,
  },
  rotateFeeder: {
    words: ['mixer', 'feeder', 'rotate'],
    summary: 'Write an enrolment file with a new key; the old key holds until the new one is used',
    argument: FEEDER,
    options: KEY_OPTIONS,
    route: 'rotateFeeder',
    output: SHAPES.keyFile,
  },
  receiptKey: {
    words: ['mixer', 'receipt', 'key'],
    summary: 'Get the public key that verifies the receipts of this host',
    options: [],
    route: 'receiptKey',
    output: SHAPES.receiptKey,
  },
  showReceipts: {
    words: ['mixer', 'receipt', 'show'],
    summary: 'List what receipts say, without verifying them; needs no daemon',
    argument: RECEIPTS,
    options: [
      {
        long: 'limit',
        short: 'l',
        type: 'integer',
        minimum: 1,
        maximum: 100_000,
        default: 1_024,
        description: 'At most this many; the oldest come first',
      },
    ],
    route: null,
    output: SHAPES.receipts,
  },
  verifyReceipts: {
    words: ['mixer', 'receipt', 'verify'],
    summary: 'Verify signatures, chains and sums of receipts and name the first record that is wrong',
    argument: RECEIPTS,
    options: [
      {
        long: 'key',
        short: 'k',
        type: 'string',
        ...PATH,
        description:
          'Receipt key, 64 hexadecimal digits, or an enrolment file that holds it; the daemon is asked by default',
      },
    ],
    route: 'receiptKey',
    output: SHAPES.receiptSummary,
  },
} as const satisfies Record<string, CommandEntry>;
