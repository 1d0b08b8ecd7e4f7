import { Type, type Static } from 'typebox';
import type { CommandEntry } from './command-entry.ts';
import { bare, route } from './route.ts';
import { closed, oneOf } from './schema-parts.ts';
import { integer, number, text, type OutputShape } from './shape-entry.ts';

/** What is told of a scripted install and its seed: schema, route, shape and command. */

export const InstallSeedReportSchema = Type.Object(
  {
    /** `kept`: bit 8 is not in the running mask, or its caches could not be opened. */
    state: oneOf('none', 'kept', 'in-use', 'used-up'),
    installedMs: Type.Union([Type.Integer(), Type.Null()], {
      description: 'Null when the state was not installed from a kickstart',
    }),
    sources: Type.Union([Type.Integer({ minimum: 0, maximum: 15 }), Type.Null()], {
      description: 'The mask that the kickstart named; null when it named none',
    }),
    seedBytes: Type.Integer({ minimum: 0, description: 'The whole seed, used or not' }),
    leftBytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      description: 'What was not used yet; null when its area cannot be read',
    }),
    bitsPerByte: Type.Number({ minimum: 0, maximum: 8 }),
    fingerprint: Type.String({
      description: 'Equal on two hosts when they were given the same seed; empty when there is none',
    }),
  },
  closed,
);
export type InstallSeedReport = Static<typeof InstallSeedReportSchema>;

export const INSTALL_SEED_ROUTES = {
  installSeed: route(
    'GET',
    '/v1/install-seed',
    'external.read',
    'The install seed: what is left of it, and a fingerprint that finds its twins',
    { ...bare, answer: InstallSeedReportSchema, errors: [] },
  ),
} as const;

export const INSTALL_SEED_SHAPES = {
  installSeed: {
    struct: 'InstallSeed',
    kind: 'object',
    hint: 'simple',
    fields: [
      text('state', 'State'),
      text('installed', 'Installed', 'not from a kickstart'),
      integer('sources', 'Sources', 'default'),
      integer('seedBytes', 'Seed Bytes'),
      integer('leftBytes', 'Left Bytes', 'unknown'),
      number('bitsPerByte', 'Bits Per Byte'),
      text('fingerprint', 'Fingerprint', 'none'),
    ],
  },
} as const satisfies Record<string, OutputShape>;

export const INSTALL_SEED_COMMANDS = {
  installSeed: {
    words: ['mixer', 'install-seed', 'show'],
    summary:
      'Show what is left of the install seed, and a fingerprint: hosts that share it have the same seed',
    options: [],
    route: 'installSeed',
    output: INSTALL_SEED_SHAPES.installSeed,
  },
} as const satisfies Record<string, CommandEntry>;
