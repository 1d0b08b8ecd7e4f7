/**
 * The closed table of operational errors, one row a code: what it means to HTTP, WebSocket and shells, and to people. Codes are
 * stable; `mixer explain CODE` and the documentation are made from here.
 */

export interface ErrorEntry {
  /** HTTP status of an answer that carries this error. */
  readonly http: number;
  /** WebSocket close code: 1xxx from RFC 6455, 4xxx (private use) = 4000 + the HTTP status. */
  readonly webSocketClose: number;
  /** Exit code of a program that ends because of it; see EXIT. */
  readonly exit: number;
  /** True when the same request may succeed later without a change on the caller's side. */
  readonly retryable: boolean;
  /** What happened, in one sentence. */
  readonly meaning: string;
  /** What the reader should do about it. */
  readonly whatToDo: string;
}

/** Exit codes of all programs. 0, 3, 4 and 5 are also what `mixer status` answers. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  degraded: 3,
  gateClosed: 4,
  noDaemon: 5,
  permission: 6,
  stateInUse: 7,
  stateRefused: 8,
  integrity: 9,
  externalDisabled: 10,
  connection: 11,
  authentication: 12,
  input: 13,
  internal: 70,
} as const;

/** The close code follows from the status: 1009 too big, 1011 for what the server got wrong, else 4000 + status. */
function entry(
  http: number,
  exit: number,
  retryable: boolean,
  meaning: string,
  whatToDo: string,
): ErrorEntry {
  const webSocketClose = http === 413 ? 1009 : http === 500 || http === 502 ? 1011 : 4000 + http;
  return { http, webSocketClose, exit, retryable, meaning, whatToDo };
}

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
  'event-lost': entry(
    410,
    EXIT.failed,
    false,
    'The events asked for are no longer kept.',
    'Read on from the oldest sequence that the detail names.',
  ),

  // Sources, gate and engine
  'source-unknown': entry(
    404,
    EXIT.usage,
    false,
    'There is no noise source of this name.',
    'Use interrupts, rdrand, rdseed or external; see `entropyctl mixer source list`.',
  ),
  'source-unavailable': entry(
    409,
    EXIT.failed,
    false,
    'The source cannot be used on this host.',
    '`entropyctl mixer source list` gives the reason: CPU without the instruction, no native addon, deny-listed CPU.',
  ),
  'source-masked-out': entry(
    409,
    EXIT.failed,
    false,
    'The source is not in the effective mask, so it is not read.',
    'Add its bit to entropySources and restart.',
  ),
  'source-failed': entry(
    409,
    EXIT.failed,
    false,
    'The source failed permanently: it is neither read nor tested.',
    'Investigate the hardware, then `entropyctl mixer source restore NAME --reason TEXT`.',
  ),
  'source-not-failed': entry(
    409,
    EXIT.failed,
    false,
    'Only a source in state failed can be restored.',
    'Nothing to do: the source is not failed.',
  ),
  'source-rate-refused': entry(
    500,
    EXIT.stateRefused,
    false,
    "A source's credit rate exceeds its test rate, or an APT cutoff exceeds its window.",
    'Lower the credit rate, or claim less entropy per sample for the tests.',
  ),
  'gate-closed': entry(
    503,
    EXIT.gateClosed,
    true,
    'No full-entropy block can be extracted, so nothing is given out.',
    'See the reason in `entropyctl mixer status`; it reopens by itself when a source suffices.',
  ),
  'override-refused': entry(
    409,
    EXIT.failed,
    false,
    'The gate cannot be overridden: it is held closed, or disableHwrng forbids every source of the mask.',
    'See `entropyctl mixer status` for what holds it; name a mask with a source that the configuration allows.',
  ),
  'engine-busy': entry(
    503,
    EXIT.failed,
    true,
    'The engine has as many requests waiting as it takes.',
    'Try again in a moment.',
  ),
  'engine-stopped': entry(
    503,
    EXIT.failed,
    true,
    'The engine is stopping or has stopped.',
    'Wait for the daemon to come back; its log says why it stopped.',
  ),

  // External entropy: feeders, the feed protocol, served output
  'external-disabled': entry(
    403,
    EXIT.externalDisabled,
    false,
    'The effective source mask of the host leaves external entropy out.',
    'On the host: `entropyctl system settings kernel set -s entropySources -v 12`, then restart the daemon.',
  ),
  'feeder-unknown': entry(
    404,
    EXIT.usage,
    false,
    'There is no feeder of this name.',
    'See `entropyctl mixer feeder list`.',
  ),
  'feeder-exists': entry(
    409,
    EXIT.usage,
    false,
    'A feeder of this name is enrolled already.',
    'Choose another name, or `entropyctl mixer feeder rotate` for a new key.',
  ),
  'feeder-limit': entry(
    409,
    EXIT.failed,
    false,
    'As many feeders are enrolled as there can be.',
    'Revoke one that is not needed.',
  ),
  'feeder-class-refused': entry(
    400,
    EXIT.usage,
    false,
    'Class, rate and certificate of the enrolment do not fit together.',
    'full-entropy needs a certificate; drbg is worth 1/32 bit per byte at most; public and host-derived are worth 0.',
  ),
  'feeder-unauthenticated': entry(
    401,
    EXIT.authentication,
    false,
    'The proof does not match: an unknown feeder, a wrong key, or another host.',
    'Check name and enrolment file; enrol again if the key was lost.',
  ),
  'feeder-disabled': entry(
    403,
    EXIT.authentication,
    false,
    'The feeder is disabled.',
    '`entropyctl mixer feeder enable NAME` on the host.',
  ),
  'feeder-suspended': entry(
    403,
    EXIT.authentication,
    false,
    'The feeder is suspended: its frames kept failing the tests at the door, or repeated what came before.',
    'Examine the device, then `entropyctl mixer feeder enable NAME` on the host.',
  ),
  'feeder-replaced': entry(
    409,
    EXIT.connection,
    false,
    'Another connection of the same feeder took the place of this one.',
    'Run one program for each enrolment.',
  ),
  'feed-handshake-invalid': entry(
    400,
    EXIT.connection,
    false,
    'A handshake message does not fit its layout.',
    'Compare it with docs/protocol.md; the detail names the field.',
  ),
  'feed-handshake-timeout': entry(
    408,
    EXIT.connection,
    true,
    'The proof did not come within 5 seconds.',
    'Connect again.',
  ),
  'feed-frame-invalid': entry(
    400,
    EXIT.connection,
    false,
    'A frame does not fit its layout: type, length or direction.',
    'Compare it with docs/protocol.md; the detail names the field.',
  ),
  'feed-frame-unauthentic': entry(
    400,
    EXIT.connection,
    false,
    'A frame does not authenticate under the key of this session: it was altered, replayed or reflected.',
    'Connect again; if it recurs, look for who sits between.',
  ),
  'feed-sequence-wrong': entry(
    409,
    EXIT.connection,
    false,
    'The sequence of a frame is not the last plus one.',
    'Send each frame once, in order; after a reconnect go on from the sequence that the host names.',
  ),
  'feed-grant-exceeded': entry(
    429,
    EXIT.connection,
    true,
    'More was sent than was granted, or after the grant had lapsed.',
    'Wait for a grant and keep within it.',
  ),
  'feed-rate-exceeded': entry(
    429,
    EXIT.connection,
    true,
    'The feeder sends faster than its enrolment or the limits of the host allow.',
    'Send slower; the hello names the limits.',
  ),
  'feed-connection-lost': entry(
    503,
    EXIT.connection,
    true,
    'The connection to the host failed or ended.',
    'Check that entropyd listens on the URL; the feeder tries again unless --once was given.',
  ),
  'feed-message-invalid': entry(
    502,
    EXIT.connection,
    false,
    'The host sent something that does not fit the protocol.',
    'Use the same version on both ends; if it recurs, look for who sits between.',
  ),
  'receipt-invalid': entry(
    400,
    EXIT.integrity,
    false,
    'A receipt does not verify: signature, chain, order or layout; the detail names the first that is wrong.',
    'Keep the file; get the receipt key of the host again with `entropyctl mixer receipt key` and compare.',
  ),
  'receipts-unwritable': entry(
    507,
    EXIT.failed,
    false,
    'The file for receipts cannot be opened or written; nothing more is sent.',
    'Free space, or give another file with --receipts.',
  ),
  'enrolment-invalid': entry(
    400,
    EXIT.usage,
    false,
    'The enrolment file does not fit its format.',
    'Use the file that `entropyctl mixer feeder enroll` wrote, unchanged.',
  ),
  'key-file-exposed': entry(
    403,
    EXIT.permission,
    false,
    'A file that holds a key or a PIN can be reached by others than its owner.',
    'Make it private with `chmod 600 FILE`; when others may have read it, get a new key.',
  ),
  'input-refused': entry(
    400,
    EXIT.input,
    false,
    'The input must not be fed: it is the random device of this host.',
    'Feed an HSM, a noise source or a file of recorded entropy.',
  ),
  'input-failed': entry(
    500,
    EXIT.input,
    false,
    'The input could not be read.',
    'The detail gives the cause.',
  ),
  'pkcs11-failed': entry(
    502,
    EXIT.input,
    true,
    'The PKCS#11 module or token answered with an error, did not answer, or ended.',
    'The detail names the CKR_ code; check module, label and PIN file.',
  ),
  'pkcs11-unavailable': entry(
    500,
    EXIT.input,
    false,
    'The pkcs11js package is not installed: it needs a C++ compiler at install time.',
    'Install g++, make and python3, then run `npm ci` again.',
  ),
  'listen-needs-tls': entry(
    400,
    EXIT.usage,
    false,
    'Only loopback addresses may be served without TLS.',
    'Listen on 127.0.0.1 or ::1.',
  ),
  'listen-failed': entry(
    500,
    EXIT.stateRefused,
    true,
    'The daemon cannot listen on its address.',
    'Free the port, or give another with --listen HOST:PORT; port 0 chooses one.',
  ),
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
    'Move it away, or name another with --key-file.',
  ),
  'file-unwritable': entry(
    500,
    EXIT.failed,
    true,
    'A file of the command could not be written; the detail gives the cause.',
    'Choose another place with --key-file. A feeder that is enrolled by now gets another key by `entropyctl mixer feeder rotate NAME`.',
  ),

  // The mixer module
  'module-missing': entry(
    500,
    EXIT.integrity,
    false,
    'The WebAssembly module or its digest file is not there.',
    'Run `npm run build` in a clone, or install the package again.',
  ),
  'module-digest-mismatch': entry(
    500,
    EXIT.integrity,
    false,
    'The WebAssembly module is not the one that the build recorded.',
    'Do not use it. Build or install again, and find out who changed the file.',
  ),
  'module-abi-mismatch': entry(
    500,
    EXIT.integrity,
    false,
    'The WebAssembly module does not keep to the ABI this host was built for.',
    'Build or install module and host together.',
  ),
  'self-test-failed': entry(
    500,
    EXIT.integrity,
    false,
    'A known-answer test of the mixer failed; it is wiped and gives nothing out.',
    'Restart once; if it fails again, distrust memory or CPU of this host.',
  ),
  'mixer-refused': entry(
    500,
    EXIT.internal,
    false,
    'The mixer refused a call in its present state; the detail names its status.',
    'Report it with the status: the host should not have made this call.',
  ),

  // The kernel
  'kernel-refused': entry(
    500,
    EXIT.failed,
    true,
    'The kernel refused the bytes; the detail gives its errno.',
    'Check CAP_SYS_ADMIN and /dev/random; without the capability feeding goes on uncredited.',
  ),
  'kernel-writer-lost': entry(
    500,
    EXIT.failed,
    true,
    'The kernel-writer process ended or stopped answering.',
    'It is started again by itself; its reason is in the log.',
  ),

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
    'Put bootbank/state.previous.tgz or a copy in its place, or move it away to start from defaults; then restart. The gate stays closed until then.',
  ),
  'state-version-newer': entry(
    500,
    EXIT.stateRefused,
    false,
    'The file was written by a newer version of this software.',
    'Run that version, or start with another --state-dir.',
  ),
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

  // Programs
  'daemon-unreachable': entry(
    503,
    EXIT.noDaemon,
    true,
    'No daemon answers on the control socket.',
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
