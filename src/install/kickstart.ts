import { EntropyError } from '../base/errors.ts';
import { SEED_MAXIMUM_BYTES, SEED_MINIMUM_BYTES } from '../protocol/install-seed.ts';
import { CommandWords, isBlank, TOKEN } from './command-words.ts';
import { EntropyWords, type EntropyCommand, type SeedBounds } from './entropy-command.ts';
import {
  INCLUDE_REFUSED,
  INCLUDES,
  SCRIPT_LINE_BYTES,
  scriptLine,
  SECTION_END,
  SECTIONS,
  type LineNotRun,
} from './script-section.ts';

export type { EntropyCommand, SeedBounds } from './entropy-command.ts';
export type { LineNotRun } from './script-section.ts';

/** What a kickstart asks of us. */
export interface Kickstart {
  /** Undefined when no line begins with `entropy`: the host keeps its defaults. */
  readonly entropy: EntropyCommand | undefined;
  /** It has the command `dryrun`: nothing is to be installed. */
  readonly dryRun: boolean;
  /** Calls of esxcli in %post and %firstboot, at most 100 of them. */
  readonly notRun: readonly LineNotRun[];
}

export const SEED_BOUNDS: SeedBounds = { minimumBytes: SEED_MINIMUM_BYTES, maximumBytes: SEED_MAXIMUM_BYTES };

/** A seed of 10 MiB is 14 MiB of base64; folded into short lines, with scripts beside it, no file needs more. */
const MAXIMUM_FILE_BYTES = 32 * 1024 * 1024;
const LONGEST_NAME_BYTES = 64;
const MOST_NOT_RUN = 100;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const LINE_FEED = 0x0a;
const HYPHEN = 0x2d;

/** Where in the file a byte stands: at the name of a command, behind a name, or in a script. */
type Place = 'name' | 'other' | 'entropy' | 'section-line' | 'script';

/**
 * Reads a kickstart as VMware ESXi's installer takes it, byte by byte: one command of all is ours (`entropy`), scripts are passed over,
 * and what would change the meaning of the rest is refused. Nothing grows with the file but the seed.
 *
 *   name ─ word ends ─► other | entropy | section-line ─ line ends ─► name | script ─ %end ─► name
 *
 * @throws EntropyError kickstart-invalid, from `write` and `end`: `line N: ` and the reason. What was read is wiped then.
 */
export class KickstartParser {
  readonly #bounds: SeedBounds;
  readonly #words = new CommandWords();
  readonly #scriptStart = Buffer.alloc(SCRIPT_LINE_BYTES);
  readonly #notRun: LineNotRun[] = [];
  #place: Place = 'name';
  #line = 1;
  /** Where the present command begins. */
  #commandLine = 1;
  #readBytes = 0;
  #name = '';
  #section = '';
  #scriptLength = 0;
  #current: EntropyWords | undefined;
  #entropy: EntropyCommand | undefined;
  #dryRun = false;
  /** A line of the data was folded, and nothing but blanks came since. */
  #justFolded: 'no' | 'at-start' | 'indented' = 'no';

  constructor(bounds: SeedBounds = SEED_BOUNDS) {
    this.#bounds = bounds;
  }

  write(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (this.#readBytes++ < BYTE_ORDER_MARK.length && byte === BYTE_ORDER_MARK[this.#readBytes - 1])
        continue;
      if (byte === 0) this.#refuse('holds a zero byte: this is no text of one byte a character');
      if (this.#place === 'script') this.#scriptByte(byte);
      else this.#commandByte(byte);
      if (byte === LINE_FEED) this.#line++;
    }
    if (this.#readBytes > MAXIMUM_FILE_BYTES)
      this.#refuse(`goes beyond the ${MAXIMUM_FILE_BYTES} bytes of a kickstart`);
  }

  /** The file ends; the seed is the caller's to wipe. */
  end(): Kickstart {
    if (this.#place === 'script') this.#endScriptLine();
    else {
      if (this.#words.quoted) this.#refuse('leaves a quote open', this.#commandLine);
      this.#endCommand();
    }
    return { entropy: this.#entropy, dryRun: this.#dryRun, notRun: this.#notRun };
  }

  /** Overwrites what was read of a seed; for whoever does not come to `end`. */
  wipe(): void {
    this.#current?.wipe();
    this.#entropy?.seed?.fill(0);
    this.#scriptStart.fill(0);
  }

  #commandByte(byte: number): void {
    if (this.#justFolded !== 'no' && this.#unfold(byte)) return;
    const token = this.#words.read(byte);
    if (token >= 0) this.#wordByte(token);
    else if (token === TOKEN.wordEnd) this.#endWord();
    else if (token === TOKEN.commandEnd) this.#endCommand();
    else if (token === TOKEN.fold && this.#current?.inData === true) this.#justFolded = 'at-start';
  }

  /** Behind a folded line of data its indentation means nothing; an option behind that is a word of its own. True: the byte is done with. */
  #unfold(byte: number): boolean {
    if (isBlank(byte)) {
      this.#justFolded = 'indented';
      return true;
    }
    if (byte === HYPHEN && this.#justFolded === 'indented') {
      this.#words.breakWord();
      this.#endWord();
    }
    this.#justFolded = 'no';
    return false;
  }

  #wordByte(byte: number): void {
    const mayHoldLineEnds = this.#current?.inData === true;
    if (byte === LINE_FEED && !mayHoldLineEnds) this.#refuse('leaves a quote open');
    if (this.#place === 'entropy')
      this.#check(this.#current?.byte(byte, this.#words.quoted, this.#words.wasEscaped));
    else if (this.#place === 'name' && this.#name.length < LONGEST_NAME_BYTES) {
      if (this.#name === '') this.#commandLine = this.#line;
      this.#name += String.fromCharCode(byte);
    }
  }

  #endWord(): void {
    if (this.#place === 'entropy') this.#check(this.#current?.endWord());
    else if (this.#place === 'name') this.#named(this.#name);
  }

  #endCommand(): void {
    this.#endWord();
    if (this.#place === 'entropy') this.#endEntropy();
    this.#place = this.#place === 'section-line' ? 'script' : 'name';
    this.#name = '';
  }

  /** The first word of a command is complete. */
  #named(name: string): void {
    if (name === '') return;
    this.#place = 'other';
    if (name === 'entropy') this.#beginEntropy();
    else if (name === 'dryrun') this.#dryRun = true;
    else if (INCLUDES.has(name)) this.#refuse(INCLUDE_REFUSED);
    else if (SECTIONS.has(name)) this.#beginSection(name);
    else if (name.startsWith('%') && name !== SECTION_END)
      this.#refuse(`begins a section that no kickstart of ESXi has; it has ${[...SECTIONS].join(', ')}`);
  }

  #beginEntropy(): void {
    if (this.#entropy !== undefined)
      this.#refuse(`has a second \`entropy\`; the first is in line ${this.#entropy.line}`);
    this.#place = 'entropy';
    this.#current = new EntropyWords(this.#bounds);
  }

  #endEntropy(): void {
    const command = this.#current?.end(this.#commandLine);
    if (typeof command === 'string') this.#check(command);
    else this.#entropy = command;
    this.#current = undefined;
  }

  #beginSection(name: string): void {
    this.#section = name;
    this.#place = 'section-line';
  }

  #scriptByte(byte: number): void {
    if (byte === LINE_FEED) this.#endScriptLine();
    else if (this.#scriptLength < SCRIPT_LINE_BYTES) this.#scriptStart[this.#scriptLength++] = byte;
  }

  #endScriptLine(): void {
    const line = scriptLine(this.#scriptStart.subarray(0, this.#scriptLength));
    this.#scriptStart.fill(0, 0, this.#scriptLength);
    this.#scriptLength = 0;
    if (line.kind === 'wrong') this.#refuse(line.reason);
    if (line.kind === 'section') this.#section = line.name;
    if (line.kind === 'end') this.#place = 'name';
    const isOurs = line.kind === 'esxcli' && this.#section !== '%pre' && this.#notRun.length < MOST_NOT_RUN;
    if (isOurs) this.#notRun.push({ line: this.#line, section: this.#section, command: line.command });
  }

  /** What the entropy command found wrong with itself. */
  #check(wrong: string | undefined): void {
    if (wrong !== undefined) this.#refuse(`\`entropy\` ${wrong}`);
  }

  #refuse(reason: string, line = this.#line): never {
    this.wipe();
    throw new EntropyError('kickstart-invalid', `line ${line}: ${reason}`);
  }
}

/** Reads a whole kickstart that is in memory. @throws EntropyError kickstart-invalid */
export function parseKickstart(bytes: Uint8Array, bounds?: SeedBounds): Kickstart {
  const parser = new KickstartParser(bounds);
  parser.write(bytes);
  return parser.end();
}
