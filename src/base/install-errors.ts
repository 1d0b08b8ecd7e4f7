import { entry, EXIT, type ErrorEntry } from './error-entry.ts';

/** The rows of the table of errors that deal with a scripted install. */
export const INSTALL_ERRORS = {
  'kickstart-invalid': entry(
    400,
    EXIT.input,
    false,
    'The kickstart file cannot be taken as it is; nothing was changed.',
    'Mend the line that the detail names; docs/install.md says what is read.',
  ),
  'install-refused': entry(
    409,
    EXIT.failed,
    false,
    'Only a new state can be installed, and this one has a feeder, a seed or a changed parameter.',
    'Install into an empty --state-dir, or change the running host with entropyctl.',
  ),
} as const satisfies Record<string, ErrorEntry>;
