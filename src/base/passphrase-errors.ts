import { entry, EXIT, type ErrorEntry } from './error-entry.ts';

/** The rows of the table of errors that deal with a passphrase joined into mode NONE. */
export const PASSPHRASE_ERRORS = {
  'passphrase-needed': entry(
    403,
    EXIT.authentication,
    false,
    'A passphrase is joined into the archive, and none was given.',
    'Start with --passphrase-file FILE, or a systemd credential named entropy-mixer.passphrase; if it is lost, `entropyd recover`.',
  ),
  'passphrase-wrong': entry(
    403,
    EXIT.authentication,
    false,
    'The passphrase that was given does not open the archive, or what it opens was altered.',
    'Give the right one and restart; if it is lost, `entropyd recover` with the recovery key.',
  ),
  'passphrase-unjoined': entry(
    409,
    EXIT.stateRefused,
    false,
    'A passphrase was given, but the archive opens without one: somebody may have put it in the place of yours.',
    'If it is yours, start once without the passphrase and join it: `entropyctl system settings encryption passphrase set`.',
  ),
  'passphrase-unreadable': entry(
    500,
    EXIT.input,
    false,
    'The file or credential with the passphrase cannot be read.',
    'The detail names it and why; it has to be a regular file that the daemon may read.',
  ),
  'passphrase-refused': entry(
    400,
    EXIT.usage,
    false,
    'What was given cannot be a passphrase.',
    'Use 8 to 1,024 bytes; line ends behind them do not count.',
  ),
} as const satisfies Record<string, ErrorEntry>;
