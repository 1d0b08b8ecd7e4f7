import { createHash } from 'node:crypto';
import { ALGORITHM, CURVE_P256, DIGEST_BYTES, OBJECT_ATTRIBUTE } from './codes.ts';
import { malformed, TpmReader, TpmWriter } from './wire.ts';

const A = OBJECT_ATTRIBUTE;
const AES_KEY_BITS = 128;
const P256_BYTES = 32;

/** Attributes of the storage root key in the TCG's provisioning guidance: 0x30472. */
const STORAGE_ATTRIBUTES =
  A.fixedTpm | A.fixedParent | A.sensitiveDataOrigin | A.userWithAuth | A.noDa | A.restricted | A.decrypt;
const ENDORSEMENT_ATTRIBUTES =
  A.fixedTpm | A.fixedParent | A.sensitiveDataOrigin | A.adminWithPolicy | A.restricted | A.decrypt;

/** PolicySecret(TPM_RH_ENDORSEMENT), as the endorsement key's template has it (EK Credential Profile 2.0, B.3.4). */
const ENDORSEMENT_POLICY = '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';

/**
 * Attributes of what we seal: bound to this TPM and this parent, and `userWithAuth` clear, so that the policy is the only way to it.
 * `noDa`, since there is no authorization value that could be guessed.
 */
export const SEALED_ATTRIBUTES = A.fixedTpm | A.fixedParent | A.noDa;

/** A Name (part 1, 16): the algorithm, and the digest of the public area. It cannot be forged. */
export function nameOf(publicArea: Uint8Array): Buffer {
  const digest = createHash('sha256').update(publicArea).digest();
  return new TpmWriter().u16(ALGORITHM.sha256).raw(digest).bytes();
}

/** TPMT_PUBLIC of the storage root key to be made: ECC P-256, AES-128-CFB for its children. */
export function storageRootTemplate(): Buffer {
  return eccTemplate(STORAGE_ATTRIBUTES, Buffer.alloc(0), Buffer.alloc(0));
}

/** TPMT_PUBLIC of the endorsement key, of which only the Name is of use here: it tells TPMs apart. */
export function endorsementTemplate(): Buffer {
  return eccTemplate(
    ENDORSEMENT_ATTRIBUTES,
    Buffer.from(ENDORSEMENT_POLICY, 'hex'),
    Buffer.alloc(P256_BYTES),
  );
}

/** TPMT_PUBLIC of a sealed secret under this policy. */
export function sealedTemplate(policyDigest: Uint8Array): Buffer {
  return new TpmWriter()
    .u16(ALGORITHM.keyedHash)
    .u16(ALGORITHM.sha256)
    .u32(SEALED_ATTRIBUTES)
    .sized(policyDigest)
    .u16(ALGORITHM.null)
    .u16(0)
    .bytes();
}

/** The point of a storage key, uncompressed (0x04 ‖ x ‖ y). `tpm-protocol` when it is not just what the template says. */
export function storageRootPoint(publicArea: Uint8Array): Buffer {
  const reader = new TpmReader(publicArea);
  const head = reader.raw(EXPECTED_HEAD.length);
  if (!head.equals(EXPECTED_HEAD)) throw malformed('is not a storage key of ECC P-256');
  const [x, y] = [reader.sized(P256_BYTES), reader.sized(P256_BYTES)];
  reader.end();
  const point = Buffer.alloc(1 + 2 * P256_BYTES);
  point[0] = 4;
  x.copy(point, 1 + P256_BYTES - x.length);
  y.copy(point, point.length - y.length);
  return point;
}

/** True for a storage root key that was made from the template, whatever its unique part was. */
export function isStorageRoot(publicArea: Uint8Array): boolean {
  return Buffer.from(publicArea).subarray(0, EXPECTED_HEAD.length).equals(EXPECTED_HEAD);
}

/** What stands in a sealed object's public area. `tpm-protocol` when it is none of ours, or of tpm2-tools. */
export function parseSealedPublic(publicArea: Uint8Array): { attributes: number; policyDigest: Buffer } {
  const reader = new TpmReader(publicArea);
  const type = reader.u16();
  const nameAlgorithm = reader.u16();
  const attributes = reader.u32();
  const policyDigest = Buffer.from(reader.sized(DIGEST_BYTES));
  const scheme = reader.u16();
  reader.sized(DIGEST_BYTES);
  reader.end();
  if (
    type !== ALGORITHM.keyedHash ||
    nameAlgorithm !== ALGORITHM.sha256 ||
    scheme !== ALGORITHM.null ||
    (attributes & A.userWithAuth) !== 0
  ) {
    throw malformed('is not a secret sealed under a policy alone');
  }
  return { attributes, policyDigest };
}

function eccHead(attributes: number, policy: Uint8Array): Buffer {
  return new TpmWriter()
    .u16(ALGORITHM.ecc)
    .u16(ALGORITHM.sha256)
    .u32(attributes)
    .sized(policy)
    .u16(ALGORITHM.aes)
    .u16(AES_KEY_BITS)
    .u16(ALGORITHM.cfb)
    .u16(ALGORITHM.null) // scheme
    .u16(CURVE_P256)
    .u16(ALGORITHM.null) // kdf
    .bytes();
}

function eccTemplate(attributes: number, policy: Uint8Array, coordinate: Uint8Array): Buffer {
  return new TpmWriter().raw(eccHead(attributes, policy)).sized(coordinate).sized(coordinate).bytes();
}

const EXPECTED_HEAD = eccHead(STORAGE_ATTRIBUTES, Buffer.alloc(0));
