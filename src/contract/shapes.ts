/**
 * The shapes in which commands answer. A field's machine name (JSON, XML, CSV, keyvalue) is its label without
 * spaces and punctuation, as esxcli has it; a label therefore ends in the unit of its quantity.
 */

export type FieldType = 'string' | 'integer' | 'number' | 'boolean';

export interface FieldEntry {
  /** Name of the value in the row that a view makes. */
  readonly key: string;
  readonly label: string;
  readonly type: FieldType;
  /** What people read where there is no value; machines get null or nothing. */
  readonly absent?: string;
}

export interface OutputShape {
  /** Name of the structure, for keyvalue and XML. */
  readonly struct: string;
  readonly kind: 'object' | 'list';
  /** How people see it: `Label: value` lines, a table, or the form of its own that `mixer status` has. */
  readonly hint: 'simple' | 'table' | 'status';
  readonly fields: readonly FieldEntry[];
  /** Keys of the columns of the table, where it does not show every field. */
  readonly tableColumns?: readonly string[];
  /** One list of structures inside the object. */
  readonly nested?: { readonly key: string; readonly label: string; readonly shape: OutputShape };
}

function text(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'string', absent);
}

function integer(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'integer', absent);
}

function number(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'number', absent);
}

function truth(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'boolean', absent);
}

function field(key: string, label: string, type: FieldType, absent?: string): FieldEntry {
  return absent === undefined ? { key, label, type } : { key, label, type, absent };
}

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

const STATUS: OutputShape = {
  struct: 'MixerStatus',
  kind: 'object',
  hint: 'status',
  fields: [
    text('gate', 'Gate'),
    text('gateReason', 'Gate Reason'),
    text('gateSince', 'Gate Since'),
    truth('degraded', 'Degraded'),
    text('whatToDo', 'What To Do'),
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
    text('stateDirectory', 'State Directory'),
    text('encryptionMode', 'Encryption Mode'),
    text('stateRefused', 'State Refused'),
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

/** Label to machine name: `Credit Bits Per Second` is `CreditBitsPerSecond`. */
export function machineName(label: string): string {
  return label.replaceAll(/[^A-Za-z0-9]/g, '');
}
