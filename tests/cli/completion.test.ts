import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bashScript } from '../../src/cli/completion.ts';
import { COMMAND_NAMES, COMMANDS } from '../../src/contract/commands.ts';
import { hasProgram, testWhen } from '../requirements.ts';
import { runCommand } from './cli-bench.ts';

/** What a real bash completes on each line: words parted by spaces as bash parts them, the last one being typed. */
function completed(...lines: readonly string[]): string[] {
  const typed = lines.map((line) => {
    const words = line.split(' ').map((word) => `'${word}'`);
    return `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _entropyctl; echo "\${COMPREPLY[*]}"`;
  });
  const script = ['set -u', bashScript('entropyctl'), ...typed].join('\n');
  const { stdout, stderr, status } = spawnSync('bash', ['--norc'], {
    input: script,
    encoding: 'utf8',
    cwd: '/',
  });
  assert.equal([status, stderr], [0, '']);
  return stdout.replace(/\n$/, '').split('\n');
}

const withBash = testWhen(hasProgram('bash'));

withBash('words of the tree, as far as they are typed', () => {
  assert.equal(
    completed('entropyctl ', 'entropyctl mi', 'entropyctl system settings ', 'entropyctl mixer gate r'),
    ['mixer system completion', 'mixer', 'encryption kernel', 'restore'],
  );
});

withBash('options of the command, then those of the program; behind an argument too', () => {
  assert.equal(
    completed('entropyctl system entropyd set --memory', 'entropyctl mixer source restore rdseed --r'),
    ['--memory-cache-low-watermark --memory-cache-size', '--reason --runtime-dir'],
  );
});

withBash('values of an option: as a word of its own, behind =, and by its short name', () => {
  assert.equal(
    completed(
      'entropyctl system entropyd set --reset s',
      'entropyctl system entropyd set --reset = s',
      'entropyctl system settings kernel set -s dis',
      'entropyctl --formatter = ',
      'entropyctl mixer status --formatter j',
    ),
    ['storage-cache-size', 'storage-cache-size', 'disableHwrng', 'csv keyvalue xml json', 'json'],
  );
});

withBash(
  'a value is no word of the command: what comes after it is completed as if it were not there',
  () => {
    assert.equal(
      completed(
        'entropyctl --runtime-dir /run mixer events --limit 5 --fol',
        'entropyctl --debug mixer source test rdr',
      ),
      ['--follow', 'rdrand'],
    );
  },
);

withBash('paths where a path is meant, nothing where anything may stand', () => {
  assert.equal(
    completed(
      'entropyctl --runtime-dir /et',
      'entropyctl mixer receipt verify /proc/self/statu',
      'entropyctl mixer gate override --mask ',
    ).map((found) => found.split(' ')[0]),
    ['/etc', '/proc/self/status', ''],
  );
});

withBash('each word of each command is offered where it belongs', () => {
  const steps = COMMAND_NAMES.flatMap((name) => {
    const { words } = COMMANDS[name];
    return words.map((word, depth) => ({ before: words.slice(0, depth), word }));
  });
  const found = completed(...steps.map(({ before }) => ['entropyctl', ...before, ''].join(' ')));
  for (const [index, { before, word }] of steps.entries())
    assert.ok(found[index]?.split(' ').includes(word), [...before, word].join(' '));
});

test('the command prints the script for the name it was called by, or as a field', async () => {
  const { stdout, exit } = await runCommand(['completion', 'bash'], { program: 'esxcli' });
  assert.equal([exit, stdout], [0, bashScript('esxcli')]);
  assert.match(stdout, /^complete -F _esxcli esxcli$/m);
  const json = await runCommand(['completion', 'bash', '--formatter=json']);
  assert.equal(JSON.parse(json.stdout), { Shell: 'bash', Script: bashScript('entropyctl') });
});

test('another shell is refused', async () => {
  const { stderr, exit } = await runCommand(['completion', 'zsh']);
  assert.is(exit, 2);
  assert.match(stderr, "Invalid value 'zsh' for parameter SHELL: one of bash");
});

test.run();
