/** A script within a kickstart (%pre, %post, %firstboot): nothing of it is run here. */

/** A line of a script that a host of ours would need, and that was not run. */
export interface LineNotRun {
  readonly line: number;
  /** %firstboot and the like. */
  readonly section: string;
  /** What it calls, without what may be secret. */
  readonly command: string;
}

/** What a line of a script means to the reader of the kickstart. */
export type ScriptLine =
  | { readonly kind: 'script' }
  | { readonly kind: 'section'; readonly name: string }
  | { readonly kind: 'end' }
  | { readonly kind: 'esxcli'; readonly command: string }
  | { readonly kind: 'wrong'; readonly reason: string };

export const SECTIONS: ReadonlySet<string> = new Set(['%pre', '%post', '%firstboot']);
export const SECTION_END = '%end';
export const INCLUDES: ReadonlySet<string> = new Set(['%include', 'include']);
export const INCLUDE_REFUSED = 'includes another file, which is not read here: put its lines into this one';

/** So much of a line is looked at. */
export const SCRIPT_LINE_BYTES = 512;
const LONGEST_COMMAND = 200;

/** Commands whose options hold nothing secret; of others only the words in front of the options are told. */
const TOLD_WHOLE = /^(?:esxcli|localcli) system (?:entropyd|settings kernel) /;
const MISPLACED = /^entropy\s+--?(?:sources|data)\b/;

/** Judges a line by its first SCRIPT_LINE_BYTES bytes. */
export function scriptLine(start: Buffer): ScriptLine {
  // Asked first, for what follows may be a seed, which is to become no string.
  if (MISPLACED.test(start.toString('latin1', 0, 'entropy --sources'.length).trimStart()))
    return { kind: 'wrong', reason: 'has `entropy` within a script: put it above the first section' };
  const text = start.toString('latin1').trimEnd();
  const word = /^%[^\s]*/.exec(text)?.[0];
  if (word === SECTION_END) return { kind: 'end' };
  if (word !== undefined && SECTIONS.has(word)) return { kind: 'section', name: word };
  if (word !== undefined && INCLUDES.has(word)) return { kind: 'wrong', reason: INCLUDE_REFUSED };
  if (/^\s*#/.test(text)) return { kind: 'script' };
  const called = /(?<![\w./-])(?:esxcli|localcli)\s.*$/.exec(
    text.replace(/\/\S*\/(?=(?:esxcli|localcli)\s)/g, ''),
  );
  return called === null ? { kind: 'script' } : { kind: 'esxcli', command: told(called[0]) };
}

function told(call: string): string {
  // Whatever a shell makes another command, a comment or a text of may hold anything.
  const alone = call.replace(/\s*[;&|<>()$`#].*$/s, '');
  const plain = alone.replace(/\s+/g, ' ').replace(/[^\x20-\x7e]/g, '?');
  if (TOLD_WHOLE.test(plain)) return shortened(plain);
  const words = plain.split(' ');
  const firstOption = words.findIndex((word) => !/^[a-z0-9.]+$/i.test(word));
  return shortened(firstOption === -1 ? plain : `${words.slice(0, firstOption).join(' ')} …`);
}

function shortened(command: string): string {
  return command.length <= LONGEST_COMMAND ? command : `${command.slice(0, LONGEST_COMMAND)}…`;
}
