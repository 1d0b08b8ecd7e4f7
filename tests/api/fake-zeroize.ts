import type { Peer } from '../../src/contract/control-service.ts';
import type { ZeroizeControl, ZeroizeReport } from '../../src/contract/zeroize.ts';

/** Answers as a host of any name, on which all but the TPM could be destroyed. */
export class FakeZeroize implements ZeroizeControl {
  ended = 0;
  readonly #asked: <T>(name: string, given: readonly unknown[], answer: () => T) => T;

  constructor(asked: <T>(name: string, given: readonly unknown[], answer: () => T) => T) {
    this.#asked = asked;
  }

  zeroize(hostName: string, peer: Peer): Promise<ZeroizeReport> {
    return this.#asked('zeroize', [hostName, peer], () =>
      Promise.resolve({
        complete: false,
        parts: [
          { part: 'bootbank', outcome: 'destroyed', because: '' },
          { part: 'cache', outcome: 'absent', because: '' },
          { part: 'NV index in the TPM', outcome: 'failed', because: 'there is none (tpm-absent)' },
        ],
      }),
    );
  }

  end(): void {
    this.ended++;
  }
}
