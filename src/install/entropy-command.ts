import { Base64Decoder, type Base64Fault } from '../base/base64.ts';
import { MAXIMUM_SOURCES } from '../protocol/install-seed.ts';

/** Sizes of the seed, before base64. */
export interface SeedBounds {
  readonly minimumBytes: number;
  readonly maximumBytes: number;
}

/** What `entropy --sources=N --data=BASE64` says; at least one of the two is there. */
export interface EntropyCommand {
  readonly line: number;
  readonly sources: number | undefined;
  /** In a buffer of its own, the caller's to wipe. */
  readonly seed: Uint8Array<ArrayBuffer> | undefined;
}

const LONGEST_WORD_BYTES = 64;
const DATA_OPTION = '--data';
const SOURCES_OPTION = '--sources';
const EQUALS = 0x3d;
const LINE_FEED = 0x0a;

/**
 * The words behind `entropy`, byte by byte. The data goes straight into the decoder and is nowhere else; whatever is wrong is
 * given as a sentence without it.
 */
export class EntropyWords {
  readonly #bounds: SeedBounds;
  readonly #decoder: Base64Decoder;
  #word = '';
  /** The option whose value comes as the next word. */
  #awaiting: typeof DATA_OPTION | typeof SOURCES_OPTION | undefined;
  #inData = false;
  #dataCharacters = 0;
  #hasData = false;
  #sources: number | undefined;

  constructor(bounds: SeedBounds) {
    this.#bounds = bounds;
    this.#decoder = new Base64Decoder(bounds);
  }

  /** The word under way is base64, or the next one will be: it may be folded. */
  get inData(): boolean {
    return this.#inData || this.#awaiting === DATA_OPTION;
  }

  /** A byte of the present word; what is wrong, or undefined. */
  byte(byte: number, quoted: boolean, escaped: boolean): string | undefined {
    if (!this.#inData && this.#awaiting === DATA_OPTION) this.#beginData();
    if (this.#inData) return this.#dataByte(byte, quoted, escaped);
    if (byte === EQUALS && this.#word === DATA_OPTION) return this.#optionData();
    if (byte < 0x20 || byte > 0x7e) return 'holds a character that is not printable ASCII';
    if (this.#word.length === LONGEST_WORD_BYTES)
      return `has a word of more than ${LONGEST_WORD_BYTES} characters`;
    this.#word += String.fromCharCode(byte);
    return undefined;
  }

  /** The word ends, if one was begun; what is wrong, or undefined. */
  endWord(): string | undefined {
    if (this.#inData) return this.#endData();
    const word = this.#word;
    this.#word = '';
    if (word === '') return undefined;
    if (this.#awaiting === SOURCES_OPTION) return this.#takeSources(word);
    if (word === SOURCES_OPTION || word === DATA_OPTION) return this.#await(word);
    if (word.startsWith(`${SOURCES_OPTION}=`))
      return this.#await(SOURCES_OPTION) ?? this.#takeSources(word.slice(SOURCES_OPTION.length + 1));
    return 'takes --sources=N and --data=BASE64, and nothing else';
  }

  /** The command is complete; a sentence when it is not. */
  end(line: number): EntropyCommand | string {
    if (this.#awaiting !== undefined) return `has ${this.#awaiting} without a value`;
    if (this.#sources === undefined && !this.#hasData) return 'has neither --sources nor --data';
    return { line, sources: this.#sources, seed: this.#hasData ? this.#decoder.take() : undefined };
  }

  wipe(): void {
    this.#decoder.wipe();
  }

  #await(option: typeof DATA_OPTION | typeof SOURCES_OPTION): string | undefined {
    const given = option === DATA_OPTION ? this.#hasData : this.#sources !== undefined;
    if (given) return `has ${option} twice`;
    this.#awaiting = option;
    return undefined;
  }

  #takeSources(word: string): string | undefined {
    this.#awaiting = undefined;
    const sources = /^[0-9]{1,3}$/.test(word) ? Number(word) : NaN;
    if (!(sources <= MAXIMUM_SOURCES))
      return `has --sources that is no whole number from 0 to ${MAXIMUM_SOURCES}`;
    this.#sources = sources;
    return undefined;
  }

  #optionData(): string | undefined {
    this.#word = '';
    if (this.#awaiting !== undefined) return `has ${this.#awaiting} without a value`;
    const wrong = this.#await(DATA_OPTION);
    if (wrong === undefined) this.#beginData();
    return wrong;
  }

  #beginData(): void {
    this.#awaiting = undefined;
    this.#inData = true;
    this.#hasData = true;
  }

  #dataByte(byte: number, quoted: boolean, escaped: boolean): string | undefined {
    const isFolding =
      quoted && !escaped && (byte === LINE_FEED || byte === 0x0d || byte === 0x20 || byte === 0x09);
    if (isFolding) return undefined;
    this.#dataCharacters++;
    const fault = escaped ? 'holds a character that is not base64' : this.#decoder.push(byte);
    return fault === undefined ? undefined : this.#told(fault);
  }

  #endData(): string | undefined {
    this.#inData = false;
    const fault = this.#decoder.end();
    if (fault !== undefined) return this.#told(fault);
    const { length } = this.#decoder;
    return length < this.#bounds.minimumBytes
      ? `has --data of ${length} bytes; ${rangeOf(this.#bounds)}`
      : undefined;
  }

  #told(fault: Base64Fault): string {
    if (fault === 'is too long') return `has --data of more than it may have; ${rangeOf(this.#bounds)}`;
    return `has --data that ${fault}, at its character ${this.#dataCharacters}`;
  }
}

function rangeOf({ minimumBytes, maximumBytes }: SeedBounds): string {
  return `it takes ${minimumBytes} to ${maximumBytes} bytes before base64`;
}
