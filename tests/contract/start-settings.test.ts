import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError } from '../../src/base/errors.ts';
import { parseStartSettings, readStartSettings } from '../../src/contract/start-settings.ts';
import { count } from '../counts.ts';
import { isRoot, testWhen } from '../requirements.ts';
import { throwsWith } from '../rejects.ts';

const OWN_UID = process.getuid?.() ?? 0;

function parse(text: string) {
  return parseStartSettings(text, 'entropyd.conf');
}

/** A file with this content and mode in a folder of its own. */
function withFile(use: (file: string) => void, content = 'listen = 127.0.0.1:1\n', mode = 0o644): void {
  const directory = mkdtempSync(path.join(tmpdir(), 'conf-'));
  const file = path.join(directory, 'entropyd.conf');
  writeFileSync(file, content);
  chmodSync(file, mode);
  try {
    use(file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('name = value, a line each; spaces around both, comments and empty lines mean nothing', () => {
  const text =
    '# paths\n\n  state-dir=/srv/a b#c  \nruntime-dir =\t/run/x\n   # listen = 1\nlisten = [::1]:0\r\n';
  assert.equal(parse(text), { 'state-dir': '/srv/a b#c', 'runtime-dir': '/run/x', listen: '[::1]:0' });
  assert.equal(parse(''), {});
});

for (const [line, told] of [
  ['listen', 'line 2: not of the form name = value'],
  ['listen = ', 'line 2: listen has no value; it takes HOST:PORT'],
  ['listen = 127.0.0.1:1\u0007', 'line 2: listen takes HOST:PORT, printable'],
  [`state-dir = /${'a'.repeat(4096)}`, 'line 2: state-dir takes a directory, printable'],
  ['entropy-sources = 12', 'line 2: entropy-sources does not belong here, only state-dir'],
  ['Listen = 127.0.0.1:1', 'line 2: Listen does not belong here'],
  ['constructor = x', 'line 2: constructor does not belong here'],
  ['[daemon]', 'line 2: not of the form'],
  ['listen = 1\nlisten = 1', 'line 3: listen is given twice'],
] as const) {
  test(`refused with its line: ${line.slice(0, 40)}`, () => {
    throwsWith(() => parse(`# one\n${line}\n`), 'config-file-invalid');
    assert.throws(
      () => parse(`# one\n${line}\n`),
      (error: Error) => error.message.includes(told),
    );
  });
}

test('whatever the text, it is read or refused as invalid', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('listen', 'state-dir', 'x'), fc.string())
      .map(([name, value]) => `${name} = ${value}`),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      try {
        for (const value of Object.values(parse(lines.join('\n')))) assert.match(value, /^[^\x00-\x1f]+$/);
      } catch (error) {
        assert.ok(isEntropyError(error, 'config-file-invalid'), String(error));
      }
    }),
    { numRuns: count(500, 20_000) },
  );
});

test('a file that is not there is none', () => {
  assert.is(readStartSettings('/none/entropyd.conf', OWN_UID), undefined);
});

test('a file of the user is read, by its name or a link', () => {
  withFile((file) => {
    assert.equal(readStartSettings(file, OWN_UID), { listen: '127.0.0.1:1' });
    symlinkSync(file, `${file}.link`);
    assert.equal(readStartSettings(`${file}.link`, OWN_UID), { listen: '127.0.0.1:1' });
  });
});

test('what others may have written is refused, and so is what is no file or too long', () => {
  for (const mode of [0o664, 0o646]) {
    withFile((file) => throwsWith(() => readStartSettings(file, OWN_UID), 'config-file-refused'), '', mode);
  }
  withFile(
    (file) => throwsWith(() => readStartSettings(file, OWN_UID), 'config-file-refused'),
    '#'.repeat(65_537),
  );
  withFile((file) => assert.equal(readStartSettings(file, OWN_UID), {}), '#'.repeat(65_536));
  withFile((file) => {
    mkdirSync(`${file}.d`);
    throwsWith(() => readStartSettings(`${file}.d`, OWN_UID), 'config-file-refused');
  });
  throwsWith(() => readStartSettings('/dev/null', OWN_UID), 'config-file-refused');
});

testWhen(isRoot)('a file of another user is refused, but one of root is everybody’s', () => {
  withFile((file) => {
    assert.equal(readStartSettings(file, 1000), { listen: '127.0.0.1:1' });
    chownSync(file, 1001, 1001);
    throwsWith(() => readStartSettings(file, 1000), 'config-file-refused');
    throwsWith(() => readStartSettings(file, 0), 'config-file-refused');
    assert.equal(readStartSettings(file, 1001), { listen: '127.0.0.1:1' });
  });
});

test.run();
