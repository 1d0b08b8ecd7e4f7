import { entry, EXIT, type ErrorEntry } from './error-entry.ts';

/** The rows of the table of errors that deal with getting at an archive by other keys than its mode's. */
export const RECOVERY_ERRORS = {
  'recovery-key-malformed': entry(
    400,
    EXIT.usage,
    false,
    'What was given is not a recovery key: 16 groups of 6 digits, each with its check.',
    'Compare the group that the detail names with the copy that was kept; groups count from 1.',
  ),
  'recovery-key-wrong': entry(
    403,
    EXIT.authentication,
    false,
    'The recovery key is well-formed but does not open this archive: it is of another host or of before a rotation, or the archive was altered.',
    'Look for the key with the id that the detail names.',
  ),
  'recovery-nothing': entry(
    404,
    EXIT.usage,
    false,
    'There is no archive that could be recovered.',
    'Name the state directory with --state-dir; without --previous the current archive is meant.',
  ),
  'recipient-refused': entry(
    400,
    EXIT.usage,
    false,
    'The recovery key cannot be encrypted to this recipient.',
    'Give the public key, or a certificate, of an RSA key of 2,048 to 8,192 bits as PEM; never its private key.',
  ),
} as const satisfies Record<string, ErrorEntry>;
