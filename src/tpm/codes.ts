/** Numbers of the TPM 2.0 Library Specification, part 2, that this client uses; no more. */

/** TPM_CC: command codes (6.5.2). */
export const COMMAND = {
  nvUndefineSpace: 0x122,
  evictControl: 0x120,
  nvDefineSpace: 0x12a,
  createPrimary: 0x131,
  nvIncrement: 0x134,
  nvWrite: 0x137,
  pcrReset: 0x13d,
  startup: 0x144,
  nvRead: 0x14e,
  create: 0x153,
  load: 0x157,
  unseal: 0x15e,
  flushContext: 0x165,
  nvReadPublic: 0x169,
  readPublic: 0x173,
  startAuthSession: 0x176,
  getCapability: 0x17a,
  getRandom: 0x17b,
  pcrRead: 0x17e,
  policyCounterTimer: 0x16d,
  policyPcr: 0x17f,
  readClock: 0x181,
  pcrExtend: 0x182,
} as const;

/** TPM_ALG_ID (6.3). */
export const ALGORITHM = {
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  null: 0x0010,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

/** TPM_ECC_CURVE (6.4). */
export const CURVE_P256 = 0x0003;

/** TPM_RH: permanent handles (7.4), and the password pseudo-session. */
export const HANDLE = {
  owner: 0x40000001,
  null: 0x40000007,
  password: 0x40000009,
  endorsement: 0x4000000b,
} as const;

/** Where the TCG provisions the storage root key (TPM 2.0 Provisioning Guidance, 7.5.1). */
export const SRK_HANDLE = 0x81000001;

/** TPM_ST: structure tags (6.9). `tpm12` is how a TPM 1.2 answers what it does not understand. */
export const TAG = { noSessions: 0x8001, sessions: 0x8002, tpm12: 0x00c4 } as const;

/** TPM_SE: session types (6.11). */
export const SESSION_TYPE = { hmac: 0x00, policy: 0x01 } as const;

/** TPMA_SESSION (8.4): `decrypt` hides the first parameter of the command, `encrypt` that of the response. */
export const SESSION_ATTRIBUTE = { continue: 0x01, decrypt: 0x20, encrypt: 0x40 } as const;

/** TPMA_OBJECT (8.3). */
export const OBJECT_ATTRIBUTE = {
  fixedTpm: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDa: 1 << 10,
  restricted: 1 << 16,
  decrypt: 1 << 17,
} as const;

/** TPMA_NV (13.4), and the two kinds of TPM_NT in its bits 4 to 7. */
export const NV_ATTRIBUTE = {
  ownerWrite: 1 << 1,
  authWrite: 1 << 2,
  counter: 1 << 4,
  ownerRead: 1 << 17,
  authRead: 1 << 18,
  noDa: 1 << 25,
  /** Set by the TPM once the index holds something. */
  written: 1 << 29,
} as const;

/** TPM_CAP and TPM_PT (6.12, 6.13). */
export const CAPABILITY = { pcrs: 0x05, properties: 0x06 } as const;
export const PROPERTY = {
  family: 0x100,
  manufacturer: 0x105,
  vendorString: 0x106,
  firmwareVersion: 0x10b,
  permanent: 0x200,
} as const;

/** Bytes of SHA-256, which is the only hash this client uses. */
export const DIGEST_BYTES = 32;
