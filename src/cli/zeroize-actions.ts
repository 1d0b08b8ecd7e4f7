import { EXIT } from '../base/errors.ts';
import { ROUTES } from '../contract/routes.ts';
import { optionalTextOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';

/** Part by part what was destroyed; not all of it is a failure, whatever the form of the output. */
export async function zeroize(invocation: Invocation, { client }: Surroundings): Promise<Answer> {
  const host = optionalTextOf(invocation, 'yes-destroy') ?? '';
  const { complete, parts } = await client.call(ROUTES.zeroize, { body: { host }, timeoutMs: PATIENCE_MS });
  const left =
    'Copies of the disk, snapshots and flash may keep old bytes; a sealed copy from before opens on this TPM until that is cleared.';
  const note = complete
    ? `the state is destroyed and the daemon has ended. ${left} To begin anew, remove the file ZEROIZED from the state directory.`
    : 'NOT ALL of the state is destroyed, and the daemon has ended. Mend what failed, then on the host: entropyd zeroize --yes-destroy HOSTNAME';
  return {
    ...succeeded(invocation, ...parts.map((part) => ({ ...part }))),
    note,
    exit: complete ? EXIT.ok : EXIT.failed,
  };
}

/** A large cache is overwritten whole. */
const PATIENCE_MS = 300_000;
