import { SOURCE_NAMES } from '../base/names.ts';
import type { CommandEntry, ArgumentEntry, OptionEntry } from './command-entry.ts';
import { ACCESS_COMMANDS } from './access-commands.ts';
import { CONFIGURATION_COMMANDS } from './configuration-commands.ts';
import {
  ENCRYPTION_COMMANDS,
  ENCRYPTION_NAMESPACES,
  SEAL_COMMANDS,
  SEAL_NAMESPACES,
} from './encryption-commands.ts';
import { ENTROPYD_COMMANDS } from './entropyd-commands.ts';
import { EXTERNAL_COMMANDS } from './external-commands.ts';
import { INSTALL_SEED_COMMANDS } from './install-seed.ts';
import { OVERRIDE_MASK, OVERRIDE_SECONDS } from './gate.ts';
import { KERNEL_COMMANDS } from './kernel-commands.ts';
import { ZEROIZE_COMMANDS } from './zeroize-commands.ts';
import { PASSPHRASE_COMMANDS, PASSPHRASE_NAMESPACES } from './passphrase-commands.ts';
import { BACKUP_COMMANDS, RECOVERY_COMMANDS, RECOVERY_NAMESPACES } from './recovery-commands.ts';
import { EVENTS_LIMIT, LEDGER_LIMIT, REASON } from './routes.ts';
import { SHAPES } from './shapes.ts';
import { TLS_COMMANDS } from './tls-commands.ts';

/**
 * The one table of the control command, in esxcli's grammar: parsing, help, errors, man pages, completion and all
 * formatters are made from it. Adding a command is adding an entry here and, in src/cli, what makes its rows.
 */

export const FORMATTERS = ['csv', 'keyvalue', 'xml', 'json'] as const;
export type FormatterName = (typeof FORMATTERS)[number];

/** Shells that a completion script can be had for. */
export const COMPLETED_SHELLS = ['bash'] as const;

/** Options of the program, taken before or after the command. */
export const PROGRAM_OPTIONS = [
  {
    long: 'formatter',
    type: 'string',
    choices: FORMATTERS,
    description: `Override the formatter to use for a given command. Available formatters: ${FORMATTERS.join(', ')}`,
  },
  {
    long: 'runtime-dir',
    type: 'string',
    minimum: 1,
    maximum: 4096,
    path: 'directory',
    description: 'Directory of the control socket of the daemon to talk to',
  },
  {
    long: 'server',
    type: 'string',
    minimum: 1,
    maximum: 256,
    description: 'Listener of the daemon to talk to instead, https://HOST:PORT; http:// for this host alone',
  },
  {
    long: 'token-file',
    type: 'string',
    minimum: 1,
    maximum: 4096,
    path: 'file',
    description:
      'File with the token for --server, which nobody else may read; `mixer token create` makes one',
  },
  {
    long: 'ca',
    type: 'string',
    minimum: 1,
    maximum: 4096,
    path: 'file',
    description: 'File with the authorities to trust for --server, in PEM, instead of the public ones',
  },
  { long: 'debug', type: 'flag', description: 'Accepted for scripts made for esxcli; it changes nothing' },
] as const satisfies readonly OptionEntry[];

/** What each namespace holds, by its words. */
export const NAMESPACES = {
  mixer: 'The entropy mixer: sources, gate, kernel feed and events',
  'mixer config': 'Parameters of the daemon',
  'mixer external': 'External entropy: its caches and the draw on them',
  'mixer feeder': 'Feeders of external entropy and their keys',
  'mixer gate': 'The gate, through which every full-entropy block goes',
  'mixer install-seed': 'The seed that came with a scripted install',
  'mixer ledger': 'What was fed to the kernel pool',
  'mixer receipt': 'Receipts, which tell feeders what became of their bytes',
  'mixer token': 'Tokens for the network interfaces',
  ...SEAL_NAMESPACES,
  'mixer source': 'Noise sources and their health tests',
  'mixer tls': 'Certificates for the listener',
  system: 'Settings under the names that esxcli gives them',
  'system account': 'Accounts for the interfaces that log in',
  'system entropyd': 'The entropy caches',
  'system permission': 'What accounts may do',
  'system settings': 'Settings of the host',
  ...ENCRYPTION_NAMESPACES,
  ...PASSPHRASE_NAMESPACES,
  ...RECOVERY_NAMESPACES,
  'system settings kernel': 'Settings that take effect at the next start',
} as const satisfies Record<string, string>;

/** Names an operator may give; `external` has no start-up test, and the daemon says so. */
const SOURCE_ARGUMENT = {
  name: 'NAME',
  required: true,
  choices: SOURCE_NAMES,
  description: 'The noise source: interrupts, rdrand, rdseed or external',
} as const satisfies ArgumentEntry;

export const COMMANDS = {
  ...BACKUP_COMMANDS,
  ...CONFIGURATION_COMMANDS,
  events: {
    words: ['mixer', 'events'],
    summary: 'List the events that the daemon keeps, oldest first',
    options: [
      {
        long: 'after',
        short: 'a',
        type: 'integer',
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Only events with a higher sequence than this',
      },
      {
        long: 'limit',
        short: 'l',
        type: 'integer',
        minimum: EVENTS_LIMIT.minimum,
        maximum: EVENTS_LIMIT.maximum,
        default: EVENTS_LIMIT.default,
        description: 'At most this many; the oldest come first',
      },
      {
        long: 'follow',
        short: 'f',
        type: 'flag',
        description: 'Go on with each new event until interrupted',
      },
    ],
    route: 'events',
    output: SHAPES.events,
  },
  completion: {
    words: ['completion'],
    summary: 'Print a completion script, for `source <(entropyctl completion bash)`; needs no daemon',
    argument: {
      name: 'SHELL',
      required: true,
      choices: COMPLETED_SHELLS,
      description: 'The shell to complete for',
    },
    options: [],
    route: null,
    output: SHAPES.completion,
  },
  explain: {
    words: ['mixer', 'explain'],
    summary: 'Explain an error code or an event, or list them all; needs no daemon',
    argument: { name: 'CODE', required: false, description: 'An error code or the name of an event' },
    options: [],
    route: null,
    output: SHAPES.explanation,
  },
  ...EXTERNAL_COMMANDS,
  ...INSTALL_SEED_COMMANDS,
  overrideGate: {
    words: ['mixer', 'gate', 'override'],
    summary:
      'Use the sources of another mask for a time: break-glass, recorded as an alert; it ends by itself and at a restart',
    options: [
      {
        long: 'mask',
        short: 'm',
        type: 'integer',
        required: true,
        ...OVERRIDE_MASK,
        description: 'The sum of 1 interrupts, 2 RDRAND, 4 RDSEED, 8 external',
      },
      {
        long: 'for',
        short: 'f',
        type: 'duration',
        required: true,
        ...OVERRIDE_SECONDS,
        description: 'How long',
      },
      {
        long: 'reason',
        short: 'r',
        type: 'string',
        required: true,
        minimum: REASON.minLength,
        maximum: REASON.maxLength,
        description: 'Why; recorded with your user id',
      },
    ],
    route: 'overrideGate',
    output: SHAPES.gate,
  },
  restoreGate: {
    words: ['mixer', 'gate', 'restore'],
    summary: 'End the override of the gate at once; without one nothing changes',
    options: [],
    route: 'restoreGate',
    output: SHAPES.gate,
  },
  ledgerTotals: {
    words: ['mixer', 'ledger', 'get'],
    summary: 'Get the running totals of the kernel feed since the ledger began',
    options: [],
    route: 'ledger',
    output: SHAPES.ledgerTotals,
  },
  ledger: {
    words: ['mixer', 'ledger', 'list'],
    summary:
      'List the last feeds of the kernel pool, newest first, with credit per source, asked and effective',
    options: [
      {
        long: 'limit',
        short: 'l',
        type: 'integer',
        minimum: LEDGER_LIMIT.minimum,
        maximum: LEDGER_LIMIT.maximum,
        default: LEDGER_LIMIT.default,
        description: 'At most this many feeds',
      },
    ],
    route: 'ledger',
    output: SHAPES.feeds,
  },
  selfTest: {
    words: ['mixer', 'selftest'],
    summary: 'Run the known-answer tests of the mixer now, on a scratch state',
    options: [],
    route: 'selfTest',
    output: SHAPES.selfTest,
  },
  sources: {
    words: ['mixer', 'source', 'list'],
    summary: 'List the noise sources with their state, credit per second and the time each needs for a block',
    options: [],
    route: 'sources',
    output: SHAPES.sources,
  },
  restoreSource: {
    words: ['mixer', 'source', 'restore'],
    summary: 'Put a failed source back to its start-up test',
    argument: SOURCE_ARGUMENT,
    options: [
      {
        long: 'reason',
        short: 'r',
        type: 'string',
        required: true,
        minimum: REASON.minLength,
        maximum: REASON.maxLength,
        description: 'Why it may be trusted again; recorded with your user id',
      },
    ],
    route: 'restoreSource',
    output: SHAPES.source,
  },
  testSource: {
    words: ['mixer', 'source', 'test'],
    summary: 'Run the start-up health test of a source now',
    argument: SOURCE_ARGUMENT,
    options: [],
    route: 'testSource',
    output: SHAPES.source,
  },
  ...SEAL_COMMANDS,
  ...TLS_COMMANDS,
  status: {
    words: ['mixer', 'status'],
    summary: 'Show whether the gate is open and why not, then mask, sources and the last kernel feed',
    options: [],
    route: 'status',
    output: SHAPES.status,
  },
  waitReady: {
    words: ['mixer', 'wait-ready'],
    summary: 'Wait until the daemon answers and its gate is open',
    options: [
      {
        long: 'timeout',
        short: 't',
        type: 'integer',
        minimum: 0,
        maximum: 86_400,
        default: 60,
        description: 'Give up after this many seconds',
      },
    ],
    route: 'ready',
    output: null,
  },
  ...ZEROIZE_COMMANDS,
  ...ENCRYPTION_COMMANDS,
  ...PASSPHRASE_COMMANDS,
  ...ENTROPYD_COMMANDS,
  ...KERNEL_COMMANDS,
  ...ACCESS_COMMANDS,
  ...RECOVERY_COMMANDS,
} as const satisfies Record<string, CommandEntry>;

export type CommandName = keyof typeof COMMANDS;
export const COMMAND_NAMES = Object.keys(COMMANDS) as CommandName[];
