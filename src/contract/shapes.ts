import { ACCESS_SHAPES } from './access-shapes.ts';
import { EXTERNAL_SHAPES } from './external-shapes.ts';
import { RECOVERY_SHAPES } from './recovery-shapes.ts';
import { INSTALL_SEED_SHAPES } from './install-seed.ts';
import { integer, number, text, truth, type OutputShape } from './shape-entry.ts';

/** The shapes of all commands. */

const SOURCE: OutputShape = {
  struct: 'NoiseSource',
  kind: 'list',
  hint: 'table',
  fields: [
    text('name', 'Name'),
    integer('bit', 'Bit'),
    text('state', 'State'),
    number('creditBitsPerSecond', 'Credit Bits Per Second'),
    number('secondsToBlock', 'Seconds To Block', 'never'),
    number('testBitsPerByte', 'Test Bits Per Byte'),
    number('creditBitsPerByte', 'Credit Bits Per Byte'),
    integer('testedBytes', 'Tested Bytes'),
    number('creditedBits', 'Credited Bits'),
    integer('intermittentFailures', 'Intermittent Failures'),
    integer('permanentFailures', 'Permanent Failures'),
    text('reason', 'Reason'),
  ],
  tableColumns: ['name', 'bit', 'state', 'creditBitsPerSecond', 'secondsToBlock', 'testedBytes', 'reason'],
};

const GATE_FIELDS = [
  text('gate', 'Gate'),
  text('gateReason', 'Gate Reason'),
  text('gateSince', 'Gate Since'),
  truth('degraded', 'Degraded'),
  text('whatToDo', 'What To Do'),
  integer('overrideMask', 'Override Mask'),
  text('overrideUntil', 'Override Until'),
  text('overrideReason', 'Override Reason'),
  text('overrideBy', 'Override By'),
];

const STATUS: OutputShape = {
  struct: 'MixerStatus',
  kind: 'object',
  hint: 'status',
  fields: [
    ...GATE_FIELDS,
    text('feedPath', 'Feed Path'),
    integer('feedIntervalSeconds', 'Feed Interval Seconds'),
    integer('feedBytes', 'Feed Bytes'),
    integer('feedsSinceStart', 'Feeds Since Start'),
    text('feedWaitingSince', 'Feed Waiting Since'),
    text('feedFailure', 'Feed Failure'),
    text('lastFeedTime', 'Last Feed Time'),
    integer('lastFeedBytes', 'Last Feed Bytes'),
    integer('lastFeedCreditAskedBits', 'Last Feed Credit Asked Bits'),
    integer('lastFeedCreditEffectiveBits', 'Last Feed Credit Effective Bits'),
    text('lastFeedReseed', 'Last Feed Reseed'),
    integer('maskConfigured', 'Mask Configured'),
    integer('maskRunning', 'Mask Running'),
    integer('maskHonoured', 'Mask Honoured'),
    text('mixerBuild', 'Mixer Build'),
    text('mixerSha256', 'Mixer SHA-256'),
    truth('selfTestPassed', 'Self Test Passed'),
    text('externalLevel', 'External Level'),
    text('externalLink', 'External Link'),
    integer('externalFeedersConnected', 'External Feeders Connected'),
    number('externalCreditedBits', 'External Credited Bits'),
    number('externalRunwaySeconds', 'External Runway Seconds'),
    text('stateDirectory', 'State Directory'),
    text('encryptionMode', 'Encryption Mode'),
    text('stateRefused', 'State Refused'),
    text('recoveryKeyState', 'Recovery Key State'),
    text('version', 'Version'),
    text('started', 'Started'),
  ],
  nested: { key: 'sources', label: 'Sources', shape: SOURCE },
};

const CREDIT_BY_SOURCE = [
  number('interruptsBits', 'Interrupts Bits'),
  number('rdrandBits', 'RDRAND Bits'),
  number('rdseedBits', 'RDSEED Bits'),
  number('externalBits', 'External Bits'),
  integer('creditAskedBits', 'Credit Asked Bits'),
  integer('creditEffectiveBits', 'Credit Effective Bits'),
];

export const SHAPES = {
  status: STATUS,
  sources: SOURCE,
  source: { ...SOURCE, kind: 'object', hint: 'simple' },
  ...EXTERNAL_SHAPES,
  ...ACCESS_SHAPES,
  ...RECOVERY_SHAPES,
  ...INSTALL_SEED_SHAPES,
  gate: { struct: 'Gate', kind: 'object', hint: 'simple', fields: GATE_FIELDS },
  feeds: {
    struct: 'KernelFeed',
    kind: 'list',
    hint: 'table',
    fields: [
      integer('sequence', 'Feed'),
      text('time', 'Time'),
      integer('bytes', 'Bytes'),
      text('path', 'Path'),
      ...CREDIT_BY_SOURCE,
      text('reseed', 'Reseed'),
    ],
  },
  ledgerTotals: {
    struct: 'FeedLedger',
    kind: 'object',
    hint: 'simple',
    fields: [
      integer('feeds', 'Feeds'),
      integer('bytes', 'Bytes'),
      ...CREDIT_BY_SOURCE,
      integer('reseeds', 'Reseeds'),
      text('since', 'Since', 'no feed yet'),
    ],
  },
  selfTest: {
    struct: 'SelfTest',
    kind: 'object',
    hint: 'simple',
    fields: [truth('passed', 'Passed'), text('failedTest', 'Failed Test'), text('time', 'Time')],
  },
  completion: {
    struct: 'Completion',
    kind: 'object',
    hint: 'simple',
    fields: [text('shell', 'Shell'), text('script', 'Script')],
  },
  explanation: {
    struct: 'Explanation',
    kind: 'list',
    hint: 'table',
    fields: [
      text('code', 'Code'),
      text('kind', 'Kind'),
      text('severity', 'Severity'),
      text('meaning', 'Meaning'),
      text('whatToDo', 'What To Do', 'nothing'),
      integer('httpStatus', 'HTTP Status'),
      integer('webSocketCloseCode', 'WebSocket Close Code'),
      integer('exitCode', 'Exit Code'),
      truth('retryable', 'Retryable'),
    ],
    tableColumns: ['code', 'kind', 'severity', 'meaning'],
  },
  events: {
    struct: 'MixerEvent',
    kind: 'list',
    hint: 'table',
    fields: [
      integer('sequence', 'Sequence'),
      text('time', 'Time'),
      text('severity', 'Severity'),
      text('id', 'Event'),
      text('detail', 'Detail'),
    ],
  },
  parameters: {
    struct: 'Parameter',
    kind: 'list',
    hint: 'table',
    fields: [
      text('name', 'Name'),
      text('value', 'Value'),
      text('runtime', 'Runtime'),
      text('origin', 'Origin'),
      text('range', 'Range'),
      text('default', 'Default'),
      text('takesEffect', 'Takes Effect'),
      text('description', 'Description'),
    ],
    tableColumns: ['name', 'value', 'runtime', 'origin', 'range', 'default', 'takesEffect'],
  },
  kernelSettings: {
    struct: 'KernelSetting',
    kind: 'list',
    hint: 'table',
    fields: [
      text('name', 'Name'),
      text('type', 'Type'),
      text('description', 'Description'),
      text('configured', 'Configured'),
      text('runtime', 'Runtime'),
      text('default', 'Default'),
    ],
  },
} as const satisfies Record<string, OutputShape>;
