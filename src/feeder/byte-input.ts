/** Where a feeder's bytes come from: a file, a stream, a device, an HSM. One reader at a time. */
export interface ByteInput {
  /** What it is, for people: kind and place, nothing secret. */
  readonly description: string;
  /** @throws EntropyError input-refused, input-failed, pkcs11-failed, pkcs11-unavailable */
  open(): Promise<void>;
  /**
   * Fills the target from its start with 1 byte or more and gives their number; 0 is the end, from then on for ever. Called again only when
   * the last call has settled.
   *
   * @throws EntropyError as open
   */
  read(target: Uint8Array): Promise<number>;
  /** Gives everything back and ends a read under way, which then gives 0 or rejects. May be called twice, and before open. */
  close(): Promise<void>;
}

/** What an input tells beside its bytes: a reason to worry that is none to stop. */
export type InputWarning = (text: string) => void;
