/**
 * Start-up sanity of a source of 64-bit words: at least one word's halves differ. A generator whose upper half repeats its lower
 * would pass byte tests, and the repetition count test sees only word after word.
 *
 * @param words whole words, any alignment
 */
export function someHalvesDiffer(words: Uint8Array): boolean {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  for (let at = 0; at + 8 <= words.length; at += 8) {
    if (view.getUint32(at, true) !== view.getUint32(at + 4, true)) return true;
  }
  return false;
}
