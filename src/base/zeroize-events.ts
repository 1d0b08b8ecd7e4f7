import { event, type EventEntry } from './event-entry.ts';

/** The rows of the table of events that deal with a state that is destroyed on purpose. They live on in the log alone. */
export const ZEROIZE_EVENTS = {
  'state.zeroize.begun': event(
    'alert',
    'The peer in the detail had the state destroyed: sources end, the gate is closed for good.',
    'Nothing stops it any more; what became of each part follows.',
  ),
  'state.zeroize.failed': event(
    'alert',
    'A part of the state could not be destroyed; the detail tells which, and why.',
    'Mend it, then `entropyd zeroize --yes-destroy HOSTNAME` for the rest.',
  ),
  'state.zeroized': event(
    'alert',
    'Keys, configuration and caches were destroyed; the detail tells what, and whether that was all. The daemon ends.',
    'To begin a new state, remove the file ZEROIZED from the state directory.',
  ),
} as const satisfies Record<string, EventEntry>;
