import type { SeedBounds } from '../../src/install/kickstart.ts';
import { seededRandom } from '../durable/crash-simulator.ts';

/** Small seeds, so that many kickstarts can be tried. */
export const SMALL_BOUNDS: SeedBounds = { minimumBytes: 48, maximumBytes: 300 };

/** What is made wrong on purpose, and what the error must say of it. */
export type Flaw =
  | 'none'
  | 'alphabet'
  | 'cut'
  | 'bits'
  | 'short'
  | 'long'
  | 'sources'
  | 'option'
  | 'twice'
  | 'second'
  | 'empty'
  | 'include'
  | 'section'
  | 'misplaced'
  | 'quote'
  | 'zero';

export const FLAWS: Readonly<Record<Exclude<Flaw, 'none'>, RegExp>> = {
  alphabet: /has --data that holds a character that is not base64, at its character \d+$/,
  cut: /has --data that ends in the midst of a group/,
  bits: /has --data that has bits set that no byte uses/,
  short: /has --data of \d+ bytes; it takes 48 to 300/,
  long: /has --data of more than it may have; it takes 48 to 300/,
  sources: /has --sources that is no whole number from 0 to 15$/,
  option: /takes --sources=N and --data=BASE64, and nothing else$/,
  twice: /has --sources twice$/,
  second: /has a second `entropy`; the first is in line \d+$/,
  empty: /has neither --sources nor --data$/,
  include: /includes another file/,
  section: /begins a section that no kickstart of ESXi has/,
  misplaced: /has `entropy` within a script/,
  quote: /leaves a quote open$/,
  zero: /holds a zero byte/,
};

export interface Generated {
  readonly text: string;
  readonly flaw: Flaw;
  /** The line of the flaw, or undefined when there is none. */
  readonly flawLine: number | undefined;
  /** What an `entropy` command says; undefined when there is none. */
  readonly entropy:
    | { readonly line: number; readonly sources: number | undefined; readonly seed: Buffer | undefined }
    | undefined;
}

const OTHERS = [
  'vmaccepteula',
  'accepteula',
  'rootpw xxxxxxxx ',
  'rootpw --iscrypted "$6$abc/def$x y#z"',
  "keyboard 'US Default'",
  'install --firstdisk --overwritevmfs',
  'installorupgrade --firstdisk=local,remote --overwritevmfs',
  'network --bootproto=dhcp --device=vmnic0',
  'network --bootproto=static \\\n  --ip=192.0.2.7 \\\n  --hostname=esx01.example',
  'reboot',
  'paranoid',
  'serialnum --esx=00000-00000-00000-00000-00000',
  '# entropy --sources=9 --data=AAAA is a comment',
  '',
  '   ',
  '\t# indented comment: "quotes\' do not count \\',
  'clearpart --alldrives # behind a command',
];

const SCRIPT_LINES = [
  'esxcli system hostname set --host=esx01',
  'echo "it\'s a script" && cat <<EOF',
  '  # %include is text here',
  'vim-cmd hostsvc/enable_ssh',
  "x='unclosed",
  '',
];

/** A kickstart of many lines, with an entropy command or without, right or with one flaw. The same for the same seed. */
export function generated(seed: number): Generated {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;
  const lineEnd = pick(['\n', '\n', '\r\n']);
  const flaw: Flaw = pick(['none', 'none', 'none', 'none', ...(Object.keys(FLAWS) as Flaw[])]);
  const lines: string[] = [];
  const lineNumber = (): number => lines.join('\n').split('\n').length + (lines.length > 0 ? 1 : 0);
  const add = (text: string): number => {
    const line = lines.length === 0 ? 1 : lineNumber();
    lines.push(text);
    return line;
  };
  const others = (): void => {
    for (let left = below(4); left > 0; left--) add(pick(OTHERS));
  };
  const script = (): void => {
    add(pick(['%pre', '%post --interpreter=busybox', '%firstboot --interpreter=python']));
    for (let left = below(4); left > 0; left--) add(pick(SCRIPT_LINES));
  };

  let flawLine: number | undefined;
  let entropy: Generated['entropy'];
  others();
  if (random() < 0.2) {
    script();
    add('%end');
  }
  const needsCommand =
    flaw !== 'none' && !['include', 'section', 'misplaced', 'quote', 'zero'].includes(flaw);
  if (needsCommand || random() < 0.8) {
    const bytes = flaw === 'short' ? 1 + below(47) : flaw === 'long' ? 301 + below(50) : 48 + below(253);
    const seedBytes = Buffer.from(Array.from({ length: bytes }, () => below(256)));
    const wantsData = ['alphabet', 'cut', 'bits', 'short', 'long'].includes(flaw) || random() < 0.8;
    const wantsSources = ['sources', 'twice'].includes(flaw) || !wantsData || random() < 0.8;
    const sources =
      flaw === 'sources' ? pick(['16', '-1', '8.0', '0x8', 'eight', '99999', '1e1']) : String(below(16));
    const data = flawedData(flaw, seedBytes, below);
    const words: string[] = [];
    if (flaw === 'empty') words.push(...pick([[], ['# --sources=8']]));
    else {
      if (wantsSources)
        words.push(pick([`--sources=${sources}`, `--sources ${sources}`, `"--sources=${sources}"`]));
      if (flaw === 'twice') words.push('--sources=1');
      if (wantsData) words.push(folded(data, pick, below, flaw === 'cut' || flaw === 'short'));
      if (random() < 0.5) words.reverse();
      if (flaw === 'option') words.push(pick(['--source=8', '8', '--force', '-s', '--DATA=AAAA']));
    }
    const between = pick([' ', '  ', ' \\\n   ']);
    const line = add(pick(['', '  ']) + ['entropy', ...words].join(flaw === 'empty' ? ' ' : between));
    if (needsCommand) flawLine = line;
    entropy = {
      line,
      sources: wantsSources ? Number(sources) : undefined,
      seed: wantsData ? seedBytes : undefined,
    };
  }
  others();
  if (flaw === 'second') flawLine = add('entropy --sources=4');
  if (flaw === 'include') flawLine = add(pick(['%include /tmp/part.ks', 'include http://192.0.2.1/ks.cfg']));
  if (flaw === 'section') flawLine = add(pick(['%ennd', '%packages', '%Firstboot']));
  if (flaw === 'quote') flawLine = add(pick(['rootpw "unclosed', "keyboard 'US"]));
  if (flaw === 'zero') flawLine = add('rootpw a\0b');
  if (random() < 0.5 || flaw === 'misplaced') {
    script();
    if (flaw === 'misplaced') flawLine = add(pick(['entropy --sources=8', 'entropy  --data=AAAA']));
  }
  const text = lines.join('\n').replaceAll('\n', lineEnd) + pick(['', lineEnd]);
  return { text, flaw, flawLine, entropy };
}

function flawedData(flaw: Flaw, seed: Buffer, below: (limit: number) => number): string {
  const data = seed.toString('base64');
  const at = below(Math.max(1, data.length - 4));
  if (flaw === 'alphabet') return data.slice(0, at) + '-_.!é~'.charAt(below(6)) + data.slice(at + 1);
  if (flaw === 'cut')
    return data.replaceAll('=', '').slice(0, 4 * Math.floor(data.length / 8) + 1 + below(3));
  if (flaw === 'bits') return `${data.slice(0, 4 * Math.floor(at / 4))}QU${'BCDFGH'.charAt(below(6))}=`;
  return data;
}

/** The data as an option, in one of the ways in which it may be folded. */
function folded(
  data: string,
  pick: <T>(all: readonly T[]) => T,
  below: (limit: number) => number,
  keepWhole: boolean,
): string {
  const width = 16 + below(60);
  const pieces = keepWhole ? [data] : (data.match(new RegExp(`.{1,${width}}`, 'gs')) ?? ['']);
  const name = pick(['--data=', '--data=', '--data ']);
  switch (pick(['whole', 'backslash', 'indented', 'quoted', 'both'])) {
    case 'backslash':
      return name + pieces.join('\\\n');
    case 'indented':
      return name + pieces.join('\\\n    ');
    case 'quoted':
      return `${name}"${pieces.join('\n')}\n"`;
    case 'both':
      return `${name}'${pieces.join(' \n ')}'`;
    default:
      return name + data;
  }
}
