import { secretCopyOf, wipe } from '../base/bytes.ts';
import { EntropyError } from '../base/errors.ts';
import { policyUntilReset } from './boot-policy.ts';
import { DIGEST_BYTES } from './codes.ts';
import { selfNamed } from './command-channel.ts';
import { pcrSelection } from './pcr.ts';
import { nameOf, parseSealedPublic, sealedTemplate } from './public-area.ts';
import { flush, withSession, type SessionDependencies } from './salted-session.ts';
import type { StorageRoot } from './storage-root.ts';
import { TpmWriter } from './wire.ts';

/** A sealed secret as it is kept outside the TPM: TPMT_PUBLIC and the private part, which the parent encrypted. */
export interface SealedSecret {
  readonly publicArea: Buffer;
  readonly privatePart: Buffer;
}

/** The longest secret that every TPM seals (MAX_SYM_DATA). */
export const MAXIMUM_SECRET_BYTES = 128;
const MAXIMUM_PRIVATE_BYTES = 512;

/** Seals a secret under the root key and a policy; on the bus it goes encrypted. Nobody gets it by a password. */
export async function seal(
  options: { readonly root: StorageRoot; readonly secret: Uint8Array; readonly policyDigest: Uint8Array },
  dependencies: SessionDependencies,
): Promise<SealedSecret> {
  const { root, secret, policyDigest } = options;
  if (secret.length === 0 || secret.length > MAXIMUM_SECRET_BYTES)
    throw new RangeError(`a TPM seals 1 to ${MAXIMUM_SECRET_BYTES} bytes`);
  const template = sealedTemplate(policyDigest);
  // userAuth is empty; the size of the structure is that of its two TPM2Bs.
  const parameters = new TpmWriter()
    .u16(4 + secret.length)
    .u16(0)
    .sized(secret)
    .sized(template)
    .u16(0)
    .u32(0)
    .bytes();
  try {
    return await withSession({ type: 'hmac', root }, dependencies, async (session) => {
      const answer = await dependencies.channel.run('create', {
        handles: [root],
        authorization: session.authorization('command'),
        parameters,
      });
      const privatePart = Buffer.from(answer.parameters.sized(MAXIMUM_PRIVATE_BYTES));
      const publicArea = Buffer.from(answer.parameters.sized(MAXIMUM_PRIVATE_BYTES));
      if (!parseSealedPublic(publicArea).policyDigest.equals(policyDigest))
        throw new EntropyError('tpm-protocol', 'the TPM sealed under another policy');
      return { publicArea, privatePart };
    });
  } finally {
    wipe(parameters);
  }
}

/**
 * The secret, if the PCRs hold what it was sealed to: the caller's to wipe. On the bus it goes encrypted.
 *
 * @throws TpmRefusal: POLICY_FAIL for other PCRs, POLICY when the reset count is past its end, INTEGRITY for a sealed part that is altered or of another parent
 */
export async function unseal(
  options: {
    readonly root: StorageRoot;
    readonly sealed: SealedSecret;
    readonly pcrs: readonly number[];
    /** The policy also holds until this reset count only. */
    readonly untilReset?: number;
  },
  dependencies: SessionDependencies,
): Promise<Buffer> {
  const { root, sealed, pcrs, untilReset } = options;
  return withLoaded(root, sealed, dependencies, (object) =>
    withSession({ type: 'policy', root }, dependencies, async (session) => {
      const { channel } = dependencies;
      await channel.run('policyPcr', {
        handles: [selfNamed(session.handle)],
        parameters: new TpmWriter().u16(0).raw(pcrSelection(pcrs)).bytes(),
      });
      if (untilReset !== undefined) await policyUntilReset(session.handle, untilReset, channel);
      const answer = await channel.run('unseal', {
        handles: [object],
        authorization: session.authorization('response'),
      });
      const shown = answer.parameters.sized(MAXIMUM_SECRET_BYTES);
      const secret = secretCopyOf(shown);
      wipe(shown);
      answer.parameters.end();
      return secret;
    }),
  );
}

async function withLoaded<T>(
  root: StorageRoot,
  { publicArea, privatePart }: SealedSecret,
  dependencies: SessionDependencies,
  use: (object: { readonly handle: number; readonly name: Buffer }) => Promise<T>,
): Promise<T> {
  const { channel } = dependencies;
  const handle = await withSession({ type: 'hmac', root }, dependencies, async (session) => {
    const answer = await channel.run('load', {
      handles: [root],
      authorization: session.authorization(),
      parameters: new TpmWriter().sized(privatePart).sized(publicArea).bytes(),
    });
    answer.parameters.sized(2 + DIGEST_BYTES); // the Name, which is computed here instead
    return answer.handle;
  });
  try {
    return await use({ handle, name: nameOf(publicArea) });
  } finally {
    await flush(channel, handle);
  }
}
