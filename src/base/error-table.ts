import { ACCESS_ERRORS } from './access-errors.ts';
import { ENGINE_ERRORS } from './engine-errors.ts';
import { entry, EXIT, type ErrorEntry } from './error-entry.ts';
import { FEED_ERRORS } from './feed-errors.ts';
import { INSTALL_ERRORS } from './install-errors.ts';
import { MIXER_ERRORS } from './mixer-errors.ts';
import { ZEROIZE_ERRORS } from './zeroize-errors.ts';
import { PASSPHRASE_ERRORS } from './passphrase-errors.ts';
import { RECOVERY_ERRORS } from './recovery-errors.ts';
import { TLS_ERRORS } from './tls-errors.ts';
import { TPM_ERRORS } from './tpm-errors.ts';

export { EXIT, type ErrorEntry } from './error-entry.ts';

/**
 * The closed table of operational errors, one row a code: what it means to HTTP, WebSocket and shells, and to people. Codes are
 * stable; `mixer explain CODE` and the documentation are made from here.
 */

export const ERRORS = {
  // What a caller got wrong
  usage: entry(400, EXIT.usage, false, 'The command line is not understood.', 'Run the command with --help.'),
  'request-invalid': entry(
    400,
    EXIT.usage,
    false,
    'The request does not fit the schema of its route.',
    'Compare it with /openapi.json; the detail names the field.',
  ),
  'route-unknown': entry(
    404,
    EXIT.usage,
    false,
    'There is no such route.',
    'See /openapi.json for the routes.',
  ),
  'payload-too-large': entry(
    413,
    EXIT.usage,
    false,
    'The request body or message is larger than its route takes.',
    'Send less at a time.',
  ),
  'media-type-unsupported': entry(
    415,
    EXIT.usage,
    false,
    'The request body is not of a type that the route takes.',
    'Send the type that /openapi.json names for the route.',
  ),
  'upgrade-required': entry(
    426,
    EXIT.usage,
    false,
    'The route is a WebSocket and was asked for as a document.',
    'Connect with a WebSocket client.',
  ),
  'server-busy': entry(
    503,
    EXIT.failed,
    true,
    'The server has as many connections or streams open as it takes.',
    'Close one that is not needed, or try again in a moment.',
  ),
  'reader-slow': entry(
    408,
    EXIT.failed,
    true,
    'The reader of a stream took less than came, or answered no ping; it was cut off so that nobody waits for it.',
    'Connect again with the last sequence that was read.',
  ),
  'permission-denied': entry(
    403,
    EXIT.permission,
    false,
    'The caller may read but not change, or may not connect at all.',
    'Call as root or as the user the daemon runs as.',
  ),
  'parameter-unknown': entry(
    400,
    EXIT.usage,
    false,
    'There is no parameter of this name.',
    'See `entropyctl mixer config list`.',
  ),
  'parameter-invalid': entry(
    400,
    EXIT.usage,
    false,
    'A parameter has the wrong type or is out of its range.',
    'The detail names key, value and range; `entropyctl mixer config list` shows them all.',
  ),
  'parameter-read-only': entry(
    409,
    EXIT.usage,
    false,
    'The parameter can be read but not set.',
    'Leave it out of the request.',
  ),
  'config-file-refused': entry(
    500,
    EXIT.stateRefused,
    false,
    'The configuration file cannot be read, or others than its owner could have written it.',
    'Make it a regular file of root, mode 0644 or stricter, or name another with --config.',
  ),
  'config-file-invalid': entry(
    400,
    EXIT.usage,
    false,
    'The configuration file does not fit its format.',
    'The detail names line and setting. It takes paths, listener and TLS; parameters are changed with `entropyctl mixer config apply`.',
  ),
  'event-lost': entry(
    410,
    EXIT.failed,
    false,
    'The events asked for are no longer kept.',
    'Read on from the oldest sequence that the detail names.',
  ),

  ...ACCESS_ERRORS,

  // Sources, gate and engine
  ...ENGINE_ERRORS,

  // External entropy: feeders, the feed protocol, served output
  ...FEED_ERRORS,
  ...TLS_ERRORS,
  'served-budget-spent': entry(
    429,
    EXIT.gateClosed,
    true,
    'The budget for served output (served-draw-limit) is spent for now.',
    'Ask again later or for less; the limit is a parameter.',
  ),
  'served-reserve-kept': entry(
    503,
    EXIT.gateClosed,
    true,
    'What is left of the external entropy is kept for the kernel.',
    'Connect a feeder; serving goes on when the caches fill.',
  ),
  'fresh-entropy-unavailable': entry(
    503,
    EXIT.gateClosed,
    true,
    'No entropy that arrived after the request can be had.',
    'Ask without pr=true, or add a source that is sampled on demand (RDSEED).',
  ),

  'file-exists': entry(
    409,
    EXIT.usage,
    false,
    'There is a file of this name, and none is overwritten.',
    'Move it away, or name another file.',
  ),
  'file-unwritable': entry(
    500,
    EXIT.failed,
    true,
    'A file of the command could not be written; the detail gives the cause.',
    'Choose another place. A feeder that is enrolled by now gets another key by `entropyctl mixer feeder rotate NAME`.',
  ),

  // The mixer module and the kernel
  ...MIXER_ERRORS,

  // State on disk
  'state-in-use': entry(
    409,
    EXIT.stateInUse,
    false,
    'Another daemon uses this state directory.',
    'Stop it, or give this one its own --state-dir and --runtime-dir.',
  ),
  'state-unwritable': entry(
    507,
    EXIT.stateRefused,
    true,
    'State could not be made durable; the old state stays in force.',
    'Free space, check that the file system is writable, and try again.',
  ),
  'state-unreadable': entry(
    500,
    EXIT.stateRefused,
    true,
    'State on disk could not be read; the detail gives the errno.',
    'Check the disk and the ownership of the state directory.',
  ),
  'state-damaged': entry(
    500,
    EXIT.stateRefused,
    false,
    'The state archive is damaged or was altered; it is refused and kept as it is.',
    'Stop the daemon, then `entropyd recover --previous`, or move the archive away to start from defaults; then start it. The gate stays closed until then.',
  ),
  'state-version-newer': entry(
    500,
    EXIT.stateRefused,
    false,
    'The file was written by a newer version of this software.',
    'Run that version, or start with another --state-dir.',
  ),
  ...PASSPHRASE_ERRORS,
  ...ZEROIZE_ERRORS,
  ...RECOVERY_ERRORS,
  ...INSTALL_ERRORS,
  'runtime-dir-unusable': entry(
    500,
    EXIT.stateRefused,
    false,
    'The state or runtime directory cannot be made or used safely.',
    'Give --state-dir and --runtime-dir folders owned by the user the daemon runs as, mode 0755 or stricter.',
  ),
  'socket-path-too-long': entry(
    500,
    EXIT.usage,
    false,
    'The control socket path is longer than the 107 bytes a Unix socket address holds.',
    'Give a shorter --runtime-dir.',
  ),

  // The TPM
  ...TPM_ERRORS,

  // Programs
  'daemon-unreachable': entry(
    503,
    EXIT.noDaemon,
    true,
    'No daemon answers on the control socket, or at the URL of --server.',
    'Start entropyd, or name its runtime directory with --runtime-dir.',
  ),
  'answer-invalid': entry(
    502,
    EXIT.failed,
    false,
    'The daemon answered something this program does not understand.',
    'Run entropyctl and entropyd of the same version.',
  ),
  internal: entry(
    500,
    EXIT.internal,
    false,
    'An invariant of the program broke.',
    'Report it with the log around this moment.',
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
