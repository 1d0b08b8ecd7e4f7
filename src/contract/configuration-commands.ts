import type { CommandEntry } from './command-entry.ts';
import { integer, text, type OutputShape } from './shape-entry.ts';
import { SHAPES } from './shapes.ts';

/** `mixer config`: the stored configuration as one document. */

/** Names the format of the document, beside the parameters. */
export const FORMAT_KEY = 'formatVersion';
export const FORMAT_VERSION = 1;

/**
 * The document, in JSON also for people. Behind the version comes a member for each parameter that the daemon tells, null where its default
 * stands.
 */
const DOCUMENT: OutputShape = {
  struct: 'Configuration',
  kind: 'object',
  hint: 'simple',
  fields: [integer(FORMAT_KEY, FORMAT_KEY)],
};

const CHANGES: OutputShape = {
  struct: 'ConfigurationChange',
  kind: 'list',
  hint: 'table',
  fields: [text('name', 'Name'), text('from', 'From'), text('to', 'To'), text('takesEffect', 'Takes Effect')],
};

export const CONFIGURATION_COMMANDS = {
  applyConfiguration: {
    words: ['mixer', 'config', 'apply'],
    summary:
      'Store the parameters of a file, all or none, and print what changes; those it does not name stay, null means the default',
    argument: {
      name: 'FILE',
      required: true,
      description: 'A JSON object of parameters, such as `mixer config export` prints',
    },
    options: [
      {
        long: 'dry-run',
        short: 'n',
        type: 'flag',
        description: 'Change nothing; exits 14 when something would change, 0 when nothing would',
      },
    ],
    route: 'changeConfiguration',
    output: CHANGES,
  },
  exportConfiguration: {
    words: ['mixer', 'config', 'export'],
    summary:
      'Print the stored parameters as a JSON document for `mixer config apply`, null where the default stands; no secrets',
    options: [],
    route: 'configuration',
    output: DOCUMENT,
  },
  config: {
    words: ['mixer', 'config', 'list'],
    summary:
      'List parameters, paths, listener and TLS with their values, where those came from, their ranges and when a change takes effect',
    options: [],
    route: 'configuration',
    output: SHAPES.parameters,
  },
} as const satisfies Record<string, CommandEntry>;
