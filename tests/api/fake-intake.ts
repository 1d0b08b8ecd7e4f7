import { EntropyError } from '../../src/base/errors.ts';
import type {
  EntropyIntake,
  EntropyOffer,
  IntakeFeeder,
  IntakeReport,
  IntakeTurn,
  RequestOrigin,
} from '../../src/contract/entropy-intake.ts';
import { sampleReceipts } from '../cli/sample-receipts.ts';
import { RECEIPT_BYTES } from '../../src/protocol/receipt.ts';
import type { Note } from './fake-access-service.ts';

/** Takes sequence 7, then 8 and so on, of at most 4,096 bytes; the receipt is a sample. */
export class FakeIntake implements EntropyIntake {
  nextSequence = 7;
  grantedBytes = 4_096;
  /** Copies of what was taken, and the buffers that it came in. */
  readonly taken: { readonly copy: Uint8Array; readonly given: Uint8Array; readonly key: Uint8Array }[] = [];
  turnsOpen = 0;
  readonly #note: Note;

  constructor(note: Note) {
    this.#note = note;
  }

  standing(feeder: IntakeFeeder, origin: RequestOrigin): Promise<IntakeReport> {
    return this.#later('standing', [feeder, origin], () => ({
      feeder: feeder.name,
      nextSequence: this.nextSequence,
      grantedBytes: this.grantedBytes,
    }));
  }

  begin(feeder: IntakeFeeder, offer: EntropyOffer, origin: RequestOrigin): Promise<IntakeTurn> {
    return this.#later('begin', [feeder, offer, origin], () => {
      const { nextSequence, grantedBytes } = this;
      const { sequence = nextSequence, lengthBytes = 0 } = offer;
      if (sequence !== nextSequence)
        throw new EntropyError('sequence-used', 'used', { members: { nextSequence } });
      if (lengthBytes > grantedBytes)
        throw new EntropyError('feed-grant-exceeded', 'full', {
          members: { grantedBytes, retryAfterSeconds: 3 },
        });
      this.turnsOpen++;
      let isOpen = true;
      const letGo = (): void => {
        if (isOpen) this.turnsOpen--;
        isOpen = false;
      };
      const take = (payload: Uint8Array, key: Uint8Array): Promise<Uint8Array> => {
        this.taken.push({ copy: Uint8Array.from(payload), given: payload, key });
        this.nextSequence++;
        letGo();
        return Promise.resolve(sampleReceipts().subarray(0, RECEIPT_BYTES));
      };
      return { sequence, grantedBytes, take, letGo };
    });
  }

  receipts(feeder: IntakeFeeder, fromSequence: number, limit: number): Uint8Array[] {
    return this.#note('receipts', [feeder, fromSequence, limit], () => [sampleReceipts()]);
  }

  #later<T>(name: string, given: readonly unknown[], answer: () => T): Promise<T> {
    return new Promise((resolve) => resolve(this.#note(name, given, answer)));
  }
}
