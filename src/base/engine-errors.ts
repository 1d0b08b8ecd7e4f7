import { entry, EXIT, type ErrorEntry } from './error-entry.ts';

/** The rows of the table of errors that deal with sources, gate and engine. */
export const ENGINE_ERRORS = {
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
} as const satisfies Record<string, ErrorEntry>;
