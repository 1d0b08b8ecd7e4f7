import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manPages } from '../../scripts/man-pages.ts';
import type { CommandEntry } from '../../src/contract/command-entry.ts';
import { COMMAND_NAMES, COMMANDS } from '../../src/contract/commands.ts';
import { EXIT_CODES } from '../../src/contract/exit-codes.ts';
import { PARAMETERS } from '../../src/contract/parameters.ts';
import { START_SETTING_NAMES } from '../../src/contract/start-settings.ts';
import { hasProgram, testWhen } from '../requirements.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const pages = manPages();

/** A page as its source has it, without the escapes. */
function textOf(name: string): string {
  const page = pages.find((each) => each.name === name);
  assert.ok(page, name);
  return page.text.replaceAll('\\-', '-').replaceAll('\\(ga', '`');
}

/** A page as a reader sees it; groff's warnings go to standard error. */
function rendered(text: string): string {
  const { stdout, stderr, status } = spawnSync('groff', ['-man', '-ww', '-Tascii', '-P-cbou'], {
    input: text,
    encoding: 'utf8',
  });
  assert.equal([status, stderr], [0, '']);
  return stdout.replaceAll(/-\n\s+/g, '').replaceAll(/\s+/g, ' ');
}

test('docs/errors.md is what the tables say', () => {
  const args = ['--import', 'tsx', 'scripts/errors-page.ts', '--check'];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  assert.equal([status, stderr], [0, '']);
});

test('entropyctl(8) has each command with its options, and each exit code', () => {
  const text = textOf('entropyctl');
  for (const name of COMMAND_NAMES) {
    const { words, summary, options }: CommandEntry = COMMANDS[name];
    const [, entry = ''] = text.split(`\n.B ${words.join(' ')}`);
    assert.ok(entry.includes(`\n${summary}.\n`), name);
    for (const { long } of options) assert.ok(entry.includes(`--${long}`), `${name} --${long}`);
  }
  for (const { code, meaning } of EXIT_CODES) assert.ok(text.includes(`.B ${code}\n${meaning}\n`), meaning);
});

test('entropyd(8) has each parameter as a flag, and each setting of its file', () => {
  const text = textOf('entropyd');
  for (const { name } of Object.values(PARAMETERS)) assert.ok(text.includes(`.B --${name}=<`), name);
  for (const name of START_SETTING_NAMES) {
    assert.ok(text.includes(`.B --${name}=`) || text.includes(`, --${name}=`), name);
    assert.ok(text.includes(`.B ${name} = `), name);
  }
});

test('every page has its sections in order, and no line that a request could hide in', () => {
  for (const { name, text } of pages) {
    const sections = [...text.matchAll(/^\.SH (.*)$/gm)].map((match) => match[1]);
    assert.equal(sections.slice(0, 3), ['NAME', 'SYNOPSIS', 'DESCRIPTION'], name);
    assert.is(sections.at(-1), 'SEE ALSO');
    for (const line of text.split('\n').filter((each) => /^[.']/.test(each)))
      assert.match(line, /^\.(TH|SH|PP|TP|B|RS|RE|br)\b/);
  }
});

testWhen(hasProgram('groff'))('groff sets every page without a warning, and nothing is lost', () => {
  for (const { text } of pages) rendered(text);
  const page = pages.find(({ name }) => name === 'entropyctl')!;
  const seen = rendered(page.text);
  for (const sought of [
    '-t|--external-entropy-lost-timeout=<long>',
    'mixer config apply FILE',
    'EXIT STATUS 0 Done.',
  ])
    assert.ok(seen.includes(sought), sought);
});

test.run();
