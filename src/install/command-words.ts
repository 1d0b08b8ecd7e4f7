/**
 * The words of a kickstart's commands, byte by byte, as a POSIX shell cuts them: blanks part words, quotes and backslashes keep them
 * together, a backslash at the end of a line goes on in the next one, `#` at the start of a word begins a comment.
 */

/** What a byte meant; anything from 0 on is a byte of the present word. */
export const TOKEN = {
  /** Nothing by itself: a blank between words, a quote, a comment. */
  nothing: -1,
  wordEnd: -2,
  /** The command ends, and the word under way with it. */
  commandEnd: -3,
  /** The line ends within the command: the next one goes on with it. */
  fold: -4,
} as const;

const BACKSLASH = 0x5c;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
const HASH = 0x23;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

export function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN;
}

export class CommandWords {
  /** The quote that is open, or 0. */
  #quote = 0;
  #escaped = false;
  #inWord = false;
  #inComment = false;
  #wasEscaped = false;

  /** The byte just given was escaped by a backslash. */
  get wasEscaped(): boolean {
    return this.#wasEscaped;
  }

  /** A quote is open. */
  get quoted(): boolean {
    return this.#quote !== 0;
  }

  /** Reads the next byte of the file. */
  read(byte: number): number {
    this.#wasEscaped = false;
    if (this.#inComment) return byte === LINE_FEED ? this.#end(TOKEN.commandEnd) : TOKEN.nothing;
    if (this.#escaped) return this.#afterBackslash(byte);
    if (byte === BACKSLASH && this.#quote !== SINGLE_QUOTE) {
      this.#escaped = true;
      return TOKEN.nothing;
    }
    if (this.#quote !== 0) return this.#inQuotes(byte);
    if (byte === LINE_FEED) return this.#end(TOKEN.commandEnd);
    if (isBlank(byte)) return this.#inWord ? this.#end(TOKEN.wordEnd) : TOKEN.nothing;
    if (byte === HASH && !this.#inWord) {
      this.#inComment = true;
      return TOKEN.nothing;
    }
    this.#inWord = true;
    if (byte !== DOUBLE_QUOTE && byte !== SINGLE_QUOTE) return byte;
    this.#quote = byte;
    return TOKEN.nothing;
  }

  /** The present word ends although no blank came: what folds it was followed by the next one. */
  breakWord(): void {
    this.#inWord = false;
  }

  #inQuotes(byte: number): number {
    if (byte !== this.#quote) return byte;
    this.#quote = 0;
    return TOKEN.nothing;
  }

  #afterBackslash(byte: number): number {
    if (byte === CARRIAGE_RETURN) return TOKEN.nothing; // CR LF is one end of a line
    this.#escaped = false;
    if (byte === LINE_FEED) return TOKEN.fold;
    this.#inWord = true;
    this.#wasEscaped = true;
    return byte;
  }

  #end(token: number): number {
    this.#inWord = false;
    this.#inComment = false;
    return token;
  }
}
