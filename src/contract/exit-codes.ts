import { EXIT } from '../base/errors.ts';

/** What each exit code means, for people: manual pages and docs/errors.md are made from it. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'Done. For `mixer status`: the gate is open.',
  failed: 'It failed in a way that has no code of its own.',
  usage: 'The command line, the request or a value in it is not accepted.',
  degraded: '`mixer status`: the gate is open, but not as the mask asks.',
  gateClosed: 'The gate is closed, so nothing was given out.',
  noDaemon: 'No daemon answers.',
  permission: 'This user may not do that.',
  stateInUse: 'Another daemon uses the state directory.',
  stateRefused: 'State or the place for it is refused: damaged, newer, unreadable or not writable.',
  integrity: 'A test of integrity failed: a module, a known answer, a receipt.',
  externalDisabled: 'The host does not take external entropy.',
  connection: 'The connection to the host failed or ended.',
  authentication: 'Who asked was not recognised, or is disabled.',
  input: 'The input could not be read, or must not be used.',
  differs: '`mixer config apply --dry-run`: something would change.',
  zeroized:
    'The state was destroyed on purpose; a daemon ends with this, and starts with it beside the marker.',
  internal: 'An invariant of the program broke; report it.',
};

/** By number, ascending. */
export const EXIT_CODES: readonly { readonly code: number; readonly meaning: string }[] = Object.entries(EXIT)
  .map(([name, code]) => ({ code, meaning: EXIT_MEANINGS[name as keyof typeof EXIT] }))
  .sort((a, b) => a.code - b.code);
