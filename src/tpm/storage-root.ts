import { EntropyError } from '../base/errors.ts';
import { HANDLE, SRK_HANDLE } from './codes.ts';
import { EMPTY_PASSWORD, selfNamed, type CommandChannel } from './command-channel.ts';
import { endorsementTemplate, isStorageRoot, nameOf, storageRootTemplate } from './public-area.ts';
import { isRefusal } from './response-code.ts';
import { flush } from './salted-session.ts';
import { MAXIMUM_BYTES } from './transport.ts';
import { TpmWriter, type TpmReader } from './wire.ts';

/** A storage root key in the TPM: where it is, and its public part, from which its Name was computed here. */
export interface StorageRoot {
  readonly handle: number;
  readonly publicArea: Buffer;
  readonly name: Buffer;
}

/**
 * Lends the storage root key: the one that is provisioned in the TPM, or else one made anew from the same seed. With a pinned
 * Name only that very key will do.
 *
 * @throws EntropyError tpm-root-changed when neither is the pinned one
 */
export async function withStorageRoot<T>(
  options: { readonly pinnedName?: Uint8Array },
  channel: CommandChannel,
  use: (root: StorageRoot) => Promise<T>,
): Promise<T> {
  const wanted = (name: Buffer): boolean =>
    options.pinnedName === undefined || name.equals(options.pinnedName);
  const provisioned = await readRoot(channel);
  if (provisioned !== undefined && wanted(provisioned.name)) return use(provisioned);
  return withPrimary(HANDLE.owner, storageRootTemplate(), channel, (root) => {
    if (!wanted(root.name)) throw new EntropyError('tpm-root-changed', 'the storage root key is another one');
    return use(root);
  });
}

/** Provisions the storage root key, so that it need not be made at each start. False when the place is taken by another key. */
export async function provisionStorageRoot(channel: CommandChannel): Promise<boolean> {
  if ((await readRoot(channel)) !== undefined) return true;
  return withPrimary(HANDLE.owner, storageRootTemplate(), channel, async ({ handle, name }) => {
    try {
      await channel.run('evictControl', {
        handles: [selfNamed(HANDLE.owner), { handle, name }],
        authorization: EMPTY_PASSWORD,
        parameters: new TpmWriter().u32(SRK_HANDLE).bytes(),
      });
      return true;
    } catch (error) {
      if (isRefusal(error, 'NV_DEFINED', 'NV_SPACE')) return false;
      throw error;
    }
  });
}

/** The Name of the endorsement key, which outlives a clearing of the TPM; undefined where the hierarchy cannot be used. */
export async function endorsementName(channel: CommandChannel): Promise<Buffer | undefined> {
  try {
    return await withPrimary(HANDLE.endorsement, endorsementTemplate(), channel, ({ name }) =>
      Promise.resolve(name),
    );
  } catch (error) {
    if (isRefusal(error, 'HIERARCHY', 'BAD_AUTH', 'AUTH_FAIL', 'DISABLED', 'VALUE', 'CURVE'))
      return undefined;
    throw error;
  }
}

/** The key at the provisioned place, if there is one that our template could have made. */
async function readRoot(channel: CommandChannel): Promise<StorageRoot | undefined> {
  try {
    const { parameters } = await channel.run('readPublic', { handles: [selfNamed(SRK_HANDLE)] });
    const publicArea = Buffer.from(parameters.sized(MAXIMUM_BYTES));
    if (!isStorageRoot(publicArea)) return undefined;
    return { handle: SRK_HANDLE, publicArea, name: nameOf(publicArea) };
  } catch (error) {
    if (isRefusal(error, 'HANDLE', 'VALUE')) return undefined;
    throw error;
  }
}

async function withPrimary<T>(
  hierarchy: number,
  template: Buffer,
  channel: CommandChannel,
  use: (key: StorageRoot) => Promise<T>,
): Promise<T> {
  const { handle, parameters } = await channel.run('createPrimary', {
    handles: [selfNamed(hierarchy)],
    authorization: EMPTY_PASSWORD,
    parameters: new TpmWriter()
      .u16(4) // inSensitive: no authorization value, no data
      .u16(0)
      .u16(0)
      .sized(template)
      .u16(0) // outsideInfo
      .u32(0) // creationPCR
      .bytes(),
  });
  try {
    return await use(primaryOf(handle, parameters));
  } finally {
    await flush(channel, handle);
  }
}

function primaryOf(handle: number, parameters: TpmReader): StorageRoot {
  const publicArea = Buffer.from(parameters.sized(MAXIMUM_BYTES));
  return { handle, publicArea, name: nameOf(publicArea) };
}
