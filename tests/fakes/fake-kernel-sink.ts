import { EntropyError } from '../../src/base/errors.ts';
import type { FeedPath } from '../../src/contract/outputs.ts';
import type { KernelSink, SinkResult } from '../../src/kernel/kernel-sink.ts';

/** Takes feeds and remembers them, in place of the kernel. */
export class FakeKernelSink implements KernelSink {
  readonly feeds: { readonly bytes: Uint8Array; readonly creditBits: number }[] = [];
  fails = false;
  path: FeedPath = 'ioctl';
  /** The buffer of the last feed, not a copy. */
  lastGiven: Uint8Array = new Uint8Array(0);
  closed = false;

  feed(bytes: Uint8Array, creditBits: number): Promise<SinkResult> {
    if (this.fails) return Promise.reject(new EntropyError('kernel-refused', 'RNDADDENTROPY answered EIO'));
    this.lastGiven = bytes;
    this.feeds.push({ bytes: new Uint8Array(bytes), creditBits });
    return Promise.resolve({ path: this.path, creditEffectiveBits: 0, reseed: 'done' });
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
