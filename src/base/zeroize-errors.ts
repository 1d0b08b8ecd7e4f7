import { entry, EXIT, type ErrorEntry } from './error-entry.ts';

/** The rows of the table of errors that deal with a state that is to be destroyed, or was. */
export const ZEROIZE_ERRORS = {
  'zeroize-unconfirmed': entry(
    409,
    EXIT.usage,
    false,
    'The name given is not the name of this host: nothing was destroyed.',
    'Give the name that `hostname` prints on the host that is meant.',
  ),
  'zeroize-incomplete': entry(
    500,
    EXIT.failed,
    true,
    'Not all of the state could be destroyed; the output tells what was and what was not.',
    'Mend what it names, then `entropyd zeroize --yes-destroy HOSTNAME` for the rest.',
  ),
  'state-zeroized': entry(
    410,
    EXIT.zeroized,
    false,
    'The state in this directory was destroyed on purpose, and nothing is begun anew beside its marker.',
    'To begin a new state, remove the file ZEROIZED from the state directory, and a left install file that is not meant again.',
  ),
} as const satisfies Record<string, ErrorEntry>;
