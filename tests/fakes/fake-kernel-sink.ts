import { EntropyError } from '../../src/base/errors.ts';
import type { KernelSink, SinkResult } from '../../src/kernel/kernel-sink.ts';

/** Takes feeds and remembers them, in place of the kernel. */
export class FakeKernelSink implements KernelSink {
  readonly feeds: { readonly bytes: Uint8Array; readonly creditBits: number }[] = [];
  fails = false;
  closed = false;

  feed(bytes: Uint8Array, creditBits: number): Promise<SinkResult> {
    if (this.fails) return Promise.reject(new EntropyError('kernel-refused', 'RNDADDENTROPY answered EIO'));
    this.feeds.push({ bytes: bytes.slice(), creditBits });
    return Promise.resolve({ path: 'ioctl', creditEffectiveBits: 0, reseed: 'done' });
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
