import type { Verdict } from '../base/names.ts';
import { doorTests } from '../health/door.ts';
import { FIRST_DOOR_SLOT, Mixer } from '../mixer/mixer.ts';

/**
 * Lends the tests at the door, on a mixer of their own that is overwritten afterwards: for an install, when there is no engine yet.
 *
 * @throws EntropyError module-*, self-test-failed, and what the work throws
 */
export async function withDoorTests<T>(
  options: { readonly moduleDirectory: string },
  work: (test: (bytes: Uint8Array) => Verdict) => Promise<T>,
): Promise<T> {
  const mixer = Mixer.load({ directory: options.moduleDirectory });
  try {
    mixer.configureSlot(FIRST_DOOR_SLOT, doorTests());
    return await work((bytes) => mixer.test(FIRST_DOOR_SLOT, bytes));
  } finally {
    mixer.wipe();
  }
}
