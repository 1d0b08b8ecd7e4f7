/**
 * Masking as RFC 6455, 5.3 defines it, a word at a time, in the shape of the package `bufferutil`. The bundles give it to `ws`, which without
 * that package goes byte by byte where Node has no masking of its own (Node 20): a third of what a 64 KiB frame costs its receiver.
 */

const WORD_BYTES = 4;

/** output[offset + i] = source[i] XOR mask[i mod 4], for so many bytes. */
export function mask(
  source: Uint8Array,
  key: Uint8Array,
  output: Uint8Array,
  offset: number,
  lengthBytes: number,
): void {
  const target = output.subarray(offset, offset + lengthBytes);
  target.set(source.subarray(0, lengthBytes));
  unmask(target, key);
}

/** The same in place: what is masked twice is what it was. */
export function unmask(buffer: Uint8Array, key: Uint8Array): void {
  if (buffer.length < 2 * WORD_BYTES) return xorBytes(buffer, key, 0, buffer.length);
  const headBytes = (WORD_BYTES - (buffer.byteOffset % WORD_BYTES)) % WORD_BYTES;
  const words = Math.floor((buffer.length - headBytes) / WORD_BYTES);
  const tail = headBytes + words * WORD_BYTES;
  xorBytes(buffer, key, 0, headBytes);
  // The byte at headBytes is the first of a word, so the key is turned by as many; its bytes stand as they do in memory.
  const turned = Uint8Array.from({ length: WORD_BYTES }, (_, at) => key[(headBytes + at) % WORD_BYTES] ?? 0);
  xorWords(new Int32Array(buffer.buffer, buffer.byteOffset + headBytes, words), turned);
  xorBytes(buffer, key, tail, buffer.length);
}

/** Signed words and eight at a time: V8 makes half the work of it that it makes of unsigned ones one by one. */
function xorWords(words: Int32Array, turned: Uint8Array): void {
  const [word = 0] = new Int32Array(turned.buffer);
  const whole = words.length - (words.length % 8);
  for (let at = 0; at < whole; at += 8) {
    words[at] = (words[at] ?? 0) ^ word;
    words[at + 1] = (words[at + 1] ?? 0) ^ word;
    words[at + 2] = (words[at + 2] ?? 0) ^ word;
    words[at + 3] = (words[at + 3] ?? 0) ^ word;
    words[at + 4] = (words[at + 4] ?? 0) ^ word;
    words[at + 5] = (words[at + 5] ?? 0) ^ word;
    words[at + 6] = (words[at + 6] ?? 0) ^ word;
    words[at + 7] = (words[at + 7] ?? 0) ^ word;
  }
  for (let at = whole; at < words.length; at++) words[at] = (words[at] ?? 0) ^ word;
}

function xorBytes(buffer: Uint8Array, key: Uint8Array, from: number, end: number): void {
  for (let at = from; at < end; at++) buffer[at] = (buffer[at] ?? 0) ^ (key[at % WORD_BYTES] ?? 0);
}
