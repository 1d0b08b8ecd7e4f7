import { randomFillSync } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { KickstartParser, parseKickstart, SEED_BOUNDS, type Kickstart } from '../../src/install/kickstart.ts';
import { count, LONG } from '../counts.ts';
import { seededRandom } from '../durable/crash-simulator.ts';
import { FLAWS, generated, SMALL_BOUNDS } from './kickstart-generator.ts';

/** The example of VMware's installation guide, with its elided data and its trailing blanks. */
const EXAMPLE = `vmaccepteula
rootpw xxxxxxxx 
entropy --sources=8 --data=xxxxxxx/xx/xxxxx/xx/xxxx...
install --firstdisk --overwritevmfs 
network --bootproto=dhcp
`;

function parsed(text: string): Kickstart {
  return parseKickstart(Buffer.from(text, 'latin1'), SMALL_BOUNDS);
}

/** The message of the error, which must be a kickstart-invalid that names a line and gives a reason. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (!isEntropyError(error, 'kickstart-invalid')) throw error;
    assert.match(error.message, /^line [1-9][0-9]*: ./);
    return error.message;
  }
  throw new Error('it was taken');
}

const SEED = randomFillSync(Buffer.alloc(60));
const DATA = SEED.toString('base64');

test("the example of ESXi's guide parses once its data is data", () => {
  const seed = randomFillSync(Buffer.alloc(SEED_BOUNDS.minimumBytes));
  const text = EXAMPLE.replace('xxxxxxx/xx/xxxxx/xx/xxxx...', seed.toString('base64'));
  const { entropy, dryRun, notRun } = parseKickstart(Buffer.from(text));
  assert.equal([entropy?.line, entropy?.sources, dryRun, notRun], [3, 8, false, []]);
  assert.ok(seed.equals(entropy!.seed!));
});

test('as it is printed there, it says where the data is none', () => {
  assert.is(
    refusal(() => parseKickstart(Buffer.from(EXAMPLE))),
    'line 3: `entropy` has --data that holds a character that is not base64, at its character 25',
  );
});

test('sizes of the seed are 512,000 bytes to 10 MiB, both included', () => {
  const { minimumBytes, maximumBytes } = SEED_BOUNDS;
  assert.equal([minimumBytes, maximumBytes], [512_000, 10_485_760]);
  for (const [bytes, taken] of [
    [minimumBytes - 1, false],
    [minimumBytes, true],
    [maximumBytes, true],
    [maximumBytes + 1, false],
  ] as const) {
    const file = Buffer.from(`entropy --data=${Buffer.alloc(bytes, 'e').toString('base64')}`);
    if (taken) assert.is(parseKickstart(file).entropy?.seed?.length, bytes);
    else
      assert.match(
        refusal(() => parseKickstart(file)),
        'it takes 512000 to 10485760 bytes',
      );
  }
});

test('no entropy line: the defaults', () => {
  assert.equal(parsed('vmaccepteula\nreboot\n').entropy, undefined);
  assert.equal(parsed('').entropy, undefined);
  assert.equal(parsed('# entropy --sources=8').entropy, undefined);
});

test('each of the two options alone is enough, in either order and with a blank for the equals sign', () => {
  assert.equal(parsed('entropy --sources=15').entropy, { line: 1, sources: 15, seed: undefined });
  assert.is(parsed(`entropy --data=${DATA}`).entropy?.sources, undefined);
  assert.is(parsed(`entropy --data ${DATA} --sources 0`).entropy?.sources, 0);
});

test('folding: backslashes, indentation, quotes, CR LF; an option behind a folded line', () => {
  const [a, b] = [DATA.slice(0, 31), DATA.slice(31)];
  for (const text of [
    `entropy --data=${a}\\\n${b} --sources=3`,
    `entropy --data=${a}\\\n\t  ${b}\\\n  --sources=3`,
    `entropy --data=${a}\\\r\n${b}\\\r\n --sources=3\r\n`,
    `entropy --data="${a}\n  ${b}\n" --sources=3`,
    `entropy '--data=${a} ${b}' \\\n --sources=3`,
    `\ufeffentropy --sources=3 --data=${a}""'${b}' # said`,
  ]) {
    const { entropy } = parseKickstart(Buffer.from(text, 'utf8'), SMALL_BOUNDS);
    assert.is(entropy?.sources, 3, text);
    assert.equal(Buffer.from(entropy?.seed ?? []), SEED, text);
  }
});

test('scripts are passed over; of their esxcli calls those that matter are named, without secrets', () => {
  const { notRun } = parsed(`reboot
%pre --interpreter=busybox
esxcli system hostname get
%firstboot --interpreter=busybox
# esxcli in a comment
esxcli system entropyd set --memory-cache-size=612 --storage-cache-size=5096
sleep 5; /bin/esxcli system settings kernel set -s entropySources -v 12
esxcli system account set -i root -p hunter2 -c hunter2
esxcli system entropyd set -m 1024 && echo root:hunter2 | chpasswd
esxcli system settings kernel set -s entropySources -v $(cat hunter2) # hunter2
%end
install --firstdisk
`);
  assert.equal(notRun, [
    {
      line: 6,
      section: '%firstboot',
      command: 'esxcli system entropyd set --memory-cache-size=612 --storage-cache-size=5096',
    },
    { line: 7, section: '%firstboot', command: 'esxcli system settings kernel set -s entropySources -v 12' },
    { line: 8, section: '%firstboot', command: 'esxcli system account set …' },
    { line: 9, section: '%firstboot', command: 'esxcli system entropyd set -m 1024' },
    { line: 10, section: '%firstboot', command: 'esxcli system settings kernel set -s entropySources -v' },
  ]);
});

test('the command dryrun is heard', () => {
  assert.ok(parsed('dryrun\nentropy --sources=8').dryRun);
});

test('what is wrong names its line and the reason', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['reboot\nentropy', 'line 2: `entropy` has neither --sources nor --data'],
    ['entropy --sources', 'line 1: `entropy` has --sources without a value'],
    [`entropy --sources --data=${DATA}`, 'line 1: `entropy` has --sources without a value'],
    ['entropy --data=', 'line 1: `entropy` has --data of 0 bytes; it takes 48 to 300 bytes before base64'],
    ['entropy --sources=8 --sources=8', 'line 1: `entropy` has --sources twice'],
    [`entropy --data=${DATA} --data=${DATA}`, 'line 1: `entropy` has --data twice'],
    ['entropy --sources=1\n\nentropy --sources=1', 'line 3: has a second `entropy`; the first is in line 1'],
    ['entropy --sources=016x', 'line 1: `entropy` has --sources that is no whole number from 0 to 15'],
    ['a\n"b\n', 'line 2: leaves a quote open'],
    [`entropy --data="${DATA}\n\n`, 'line 1: leaves a quote open'],
    [
      `entropy --data=${DATA.slice(0, 8)}\\AAAA`,
      'line 1: `entropy` has --data that holds a character that is not base64, at its character 9',
    ],
    [`entropy --sources=é`, 'line 1: `entropy` holds a character that is not printable ASCII'],
    [
      '%firstboot\n%include x',
      'line 2: includes another file, which is not read here: put its lines into this one',
    ],
    [
      '%firstboot\n\nentropy --sources=8',
      'line 3: has `entropy` within a script: put it above the first section',
    ],
    ['%addon', 'line 1: begins a section that no kickstart of ESXi has; it has %pre, %post, %firstboot'],
    ['r\0', 'line 1: holds a zero byte: this is no text of one byte a character'],
  ];
  for (const [text, message] of cases)
    assert.is(
      refusal(() => parsed(text)),
      message,
      text,
    );
});

test('errors say nothing of the data', () => {
  const message = refusal(() => parsed(`entropy --data=${DATA.slice(0, 40)}secret-tail`));
  for (let at = 0; at + 4 < 40; at++) assert.not.match(message, DATA.slice(at, at + 5));
  assert.not.match(message, 'secret');
});

test('a file beyond 32 MiB is refused', () => {
  const parser = new KickstartParser();
  const chunk = Buffer.alloc(1024 * 1024, '#\n');
  for (let mebibytes = 0; mebibytes < 32; mebibytes++) parser.write(chunk);
  assert.match(
    refusal(() => parser.write(chunk)),
    'goes beyond the 33554432 bytes',
  );
});

/** The same bytes in pieces that end anywhere. */
function inPieces(bytes: Buffer, random: () => number): Kickstart {
  const parser = new KickstartParser(SMALL_BOUNDS);
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + Math.floor(random() * 20);
    parser.write(bytes.subarray(at, end));
    at = end;
  }
  return parser.end();
}

test('generated kickstarts: what is right is read as it was written, each flaw is told with its line', () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= count(1_000, 10_000); seed++) {
    const { text, flaw, flawLine, entropy } = generated(seed);
    const bytes = Buffer.from(text, 'latin1');
    const read = (): Kickstart => inPieces(bytes, seededRandom(seed));
    seen.set(flaw, (seen.get(flaw) ?? 0) + 1);
    try {
      if (flaw === 'none') {
        const found = read().entropy;
        assert.equal([found?.line, found?.sources], [entropy?.line, entropy?.sources]);
        assert.equal(found?.seed && Buffer.from(found.seed), entropy?.seed);
      } else {
        const message = refusal(read);
        assert.match(message, FLAWS[flaw]);
        const told = Number(/^line (\d+)/.exec(message)?.[1]);
        // A command may go over several lines, and what is wrong stands in one of them.
        const lines = text.split('\n').length;
        assert.ok(
          told >= flawLine! && told <= Math.min(lines, flawLine! + 40),
          `${message}, not line ${flawLine}`,
        );
      }
    } catch (error) {
      throw new Error(`generated(${seed}), ${flaw}: ${String(error)}\n${text}`, { cause: error });
    }
  }
  assert.is(seen.size, Object.keys(FLAWS).length + 1, 'each flaw came up');
});

/** Bytes that mean something to a kickstart come more often than others. */
const MEANINGFUL = Buffer.from(' \t\r\n\\"\'#%=-+/AZaz09\0\xff', 'latin1');

function mutated(bytes: Buffer, other: Buffer, random: () => number): Buffer {
  const below = (limit: number): number => Math.floor(random() * limit);
  let mutant = Buffer.from(bytes);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(mutant.length + 1);
    const byte = random() < 0.7 ? MEANINGFUL[below(MEANINGFUL.length)]! : below(256);
    const [head, tail] = [mutant.subarray(0, at), mutant.subarray(at)];
    switch (below(5)) {
      case 0:
        mutant = Buffer.concat([head, Buffer.of(byte), tail]);
        break;
      case 1:
        mutant = Buffer.concat([head, tail.subarray(1 + below(8))]);
        break;
      case 2:
        mutant = Buffer.concat([head, Buffer.of(byte), tail.subarray(1)]);
        break;
      case 3:
        mutant = Buffer.concat([head, other.subarray(below(other.length))]);
        break;
      default:
        mutant = Buffer.concat([head, tail.subarray(0, below(40)), tail]);
    }
  }
  return mutant;
}

test('mutated kickstarts: none crashes the parser, each bad one names line and reason, pieces change nothing', () => {
  const corpus = Array.from({ length: 200 }, (_, n) => Buffer.from(generated(n + 1).text, 'latin1'));
  const inputs = count(20_000, 1_000_000);
  const random = seededRandom(Number(process.env.FUZZ_SEED ?? 1));
  let [taken, refused] = [0, 0];
  for (let input = 0; input < inputs; input++) {
    const base = corpus[Math.floor(random() * corpus.length)]!;
    const mutant = mutated(base, corpus[Math.floor(random() * corpus.length)]!, random);
    const outcome = outcomeOf(() => parseKickstart(mutant, SMALL_BOUNDS), mutant);
    if (outcome.startsWith('line ')) refused++;
    else taken++;
    if (input % 16 === 0)
      assert.is(
        outcomeOf(() => inPieces(mutant, random), mutant),
        outcome,
        'in pieces it is another file',
      );
  }
  assert.ok(taken > inputs / 20 && refused > inputs / 20, `${taken} taken, ${refused} refused`);
  if (LONG) console.log(`\n# kickstart fuzz: ${inputs} inputs, ${taken} taken, ${refused} refused`);
});

/** What the parser makes of it, for comparison; anything but a result or a refusal is a failure with the input. */
function outcomeOf(work: () => Kickstart, input: Buffer): string {
  try {
    const { entropy, dryRun, notRun } = work();
    const { seed, sources } = entropy ?? {};
    if (seed !== undefined && (seed.length < 48 || seed.length > 300))
      throw new Error('a seed out of bounds');
    if (sources !== undefined && !(sources >= 0 && sources <= 15)) throw new Error('sources out of range');
    return JSON.stringify([
      entropy?.line,
      sources,
      seed && Buffer.from(seed).toString('hex'),
      dryRun,
      notRun,
    ]);
  } catch (error) {
    if (isEntropyError(error, 'kickstart-invalid') && /^line [1-9][0-9]*: ./.test(error.message))
      return error.message;
    throw new Error(`${String(error)} for ${input.toString('base64')}`, { cause: error });
  }
}

test.run();
