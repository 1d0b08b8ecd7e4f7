import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasCompiler, hasProgram, testWhen } from '../requirements.ts';
import { NATIVE_FOLDER, temporaryFolder } from './compile.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/build-native.mjs', import.meta.url));
const HEADERS = fileURLToPath(new URL('../../node_modules/node-api-headers/include', import.meta.url));

interface Build {
  status: number | null;
  output: string;
  errors: string;
}

function build(folder: string, environment: Record<string, string> = {}, ...flags: string[]): Build {
  const answer = spawnSync(process.execPath, [SCRIPT, '--output', folder, ...flags], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', ...environment },
  });
  return { status: answer.status, output: answer.stdout, errors: answer.stderr };
}

/** A compiler that says who it is and then does as told. */
function fakeCompiler(script: string, version = 'fake 1.0'): string {
  const file = join(temporaryFolder(), 'fake-cc');
  writeFileSync(file, `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; exit 0; fi\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** The output is the last argument. */
const WRITES_OUTPUT = 'for last; do :; done; echo x > "$last"';

const built = ['addon.node', 'kernel-writer', 'stamp.json'];
const compiled = testWhen(hasCompiler);

compiled('builds both programs without a warning', () => {
  const folder = temporaryFolder();
  const { status, output, errors } = build(folder, {}, '--strict');
  assert.is(errors, '');
  assert.match(output, /^native: built addon\.node and kernel-writer with .+\n$/);
  assert.is(status, 0);
  assert.equal(readdirSync(folder).sort(), built);
  assert.is(statSync(join(folder, 'kernel-writer')).mode & 0o111, 0o111);
});

test('compiles nothing when it is up to date, and again when an output was changed or removed', () => {
  const folder = temporaryFolder();
  const CC = fakeCompiler(WRITES_OUTPUT);
  assert.match(build(folder, { CC }).output, /built/);
  const before = statSync(join(folder, 'addon.node')).mtimeMs;
  assert.is(build(folder, { CC }).output, 'native: up to date\n');
  assert.is(statSync(join(folder, 'addon.node')).mtimeMs, before);

  writeFileSync(join(folder, 'kernel-writer'), 'something else');
  assert.match(build(folder, { CC }).output, /built/);
  rmSync(join(folder, 'addon.node'));
  assert.match(build(folder, { CC }).output, /built/);
  assert.is(build(folder, { CC }).output, 'native: up to date\n');
});

/** As if these outputs had been built before the sources changed. */
function makeStale(folder: string): void {
  const file = join(folder, 'stamp.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/"sources": "./, '"sources": "-'));
}

test('what was built from other sources is compiled again, or removed where there is no compiler', () => {
  const folder = temporaryFolder();
  const CC = fakeCompiler(WRITES_OUTPUT);
  build(folder, { CC });
  makeStale(folder);
  assert.match(build(folder, { CC }).output, /built/);
  makeStale(folder);
  assert.match(build(folder, { PATH: temporaryFolder() }).output, /not built: there is no C compiler/);
  assert.equal(readdirSync(folder), []);
});

test('compiles again when the stamp is torn, odd or of another compiler', () => {
  const folder = temporaryFolder();
  const CC = fakeCompiler(WRITES_OUTPUT);
  build(folder, { CC });
  for (const stamp of ['', '{"sources":', 'null', '{"sources":"0","inputs":{},"outputs":{}}']) {
    writeFileSync(join(folder, 'stamp.json'), stamp);
    assert.match(build(folder, { CC }).output, /built/, stamp);
  }
  assert.match(
    build(folder, { CC: fakeCompiler(WRITES_OUTPUT, 'fake 2.0') }).output,
    /built .+ with fake 2\.0/,
  );
});

test('without a compiler: one clear line, exit 0, and nothing left that is stale', () => {
  const folder = temporaryFolder();
  for (const name of built) writeFileSync(join(folder, name), '{}');
  const { status, output, errors } = build(folder, { PATH: temporaryFolder() });
  assert.is(status, 0);
  assert.match(output, /^native: not built: there is no C compiler .+\n$/);
  assert.is(errors, '');
  assert.equal(readdirSync(folder), []);
});

test('without a compiler, what was built from these very sources stays', () => {
  const folder = temporaryFolder();
  build(folder, { CC: fakeCompiler(WRITES_OUTPUT) });
  const { status, output } = build(folder, { PATH: temporaryFolder() });
  assert.is(status, 0);
  assert.match(output, /^native: up to date .+\n$/);
  assert.equal(readdirSync(folder).sort(), built);
});

test('a compiler that fails: its own words, a loud line for each program, exit 0, no output', () => {
  const folder = temporaryFolder();
  const { status, errors } = build(folder, { CC: fakeCompiler('echo "no such header" >&2; exit 1') });
  assert.is(status, 0);
  assert.match(errors, /no such header\nnative: addon\.node NOT BUILT/);
  assert.match(errors, /no such header\nnative: kernel-writer NOT BUILT/);
  assert.equal(readdirSync(folder), []);
});

test('a failure is tried again at the next installation', () => {
  const folder = temporaryFolder();
  const failing = fakeCompiler('case "$*" in *addon.c*) echo broken >&2; exit 1;; esac\n' + WRITES_OUTPUT);
  const first = build(folder, { CC: failing });
  assert.match(first.errors, /addon\.node NOT BUILT/);
  assert.is(existsSync(join(folder, 'stamp.json')), false);
  assert.is(existsSync(join(folder, 'kernel-writer')), true);
  assert.match(build(folder, { CC: failing }).errors, /addon\.node NOT BUILT/);
});

test('CC may carry arguments', () => {
  const shell = `sh ${fakeCompiler(WRITES_OUTPUT)}`;
  assert.match(
    build(temporaryFolder(), { CC: shell }).output,
    /built addon\.node and kernel-writer with fake/,
  );
});

testWhen(hasProgram('aarch64-linux-gnu-gcc'))('compiles for aarch64 without a warning', () => {
  const sources = readdirSync(NATIVE_FOLDER).filter((name) => name.endsWith('.c'));
  assert.ok(sources.length >= 7);
  for (const name of sources) {
    const answer = spawnSync(
      'aarch64-linux-gnu-gcc',
      [
        '-std=gnu11',
        '-D_GNU_SOURCE',
        '-O2',
        '-Wall',
        '-Wextra',
        '-Werror',
        '-isystem',
        HEADERS,
        '-c',
        name,
        '-o',
        '/dev/null',
      ],
      { cwd: NATIVE_FOLDER, encoding: 'utf8' },
    );
    assert.is(answer.stderr, '', name);
  }
});

test.run();
