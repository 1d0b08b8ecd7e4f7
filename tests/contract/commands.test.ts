import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CommandEntry } from '../../src/contract/command-entry.ts';
import { COMMAND_NAMES, COMMANDS, NAMESPACES, PROGRAM_OPTIONS } from '../../src/contract/commands.ts';
import { ACCESS_RULES } from '../../src/contract/route-access.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { machineName, type OutputShape } from '../../src/contract/shape-entry.ts';
import { SHAPES } from '../../src/contract/shapes.ts';

const commands = COMMAND_NAMES.map((name): [string, CommandEntry] => [name, COMMANDS[name]]);
const shapes = Object.values(SHAPES).flatMap((shape: OutputShape) =>
  shape.nested === undefined ? [shape] : [shape, shape.nested.shape],
);

function distinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

test('each command has words of its own, below namespaces that are described', () => {
  const paths = commands.map(([, { words }]) => words.join(' '));
  assert.ok(distinct([...paths, ...Object.keys(NAMESPACES)]));
  for (const [name, { words }] of commands) {
    for (let depth = 1; depth < words.length; depth++) {
      assert.ok(Object.hasOwn(NAMESPACES, words.slice(0, depth).join(' ')), name);
    }
  }
});

test('no namespace is empty', () => {
  for (const path of Object.keys(NAMESPACES)) {
    assert.ok(
      commands.some(([, { words }]) => words.join(' ').startsWith(`${path} `)),
      path,
    );
  }
});

test('options have names of their own, beside those of the program', () => {
  for (const [name, { options }] of commands) {
    assert.ok(
      distinct(
        [...PROGRAM_OPTIONS, ...options, { long: 'help' }, { long: 'version' }].map(({ long }) => long),
      ),
      name,
    );
    const shorts = options.map(({ short }) => short ?? '').filter((short) => short !== '');
    assert.ok(distinct([...shorts, '?']), name);
    for (const short of shorts) assert.match(short, /^[a-z]$/);
  }
});

test('a default is in the range of its option, and a required option has none', () => {
  for (const [name, { options }] of commands) {
    for (const { default: initial, minimum = 0, maximum = 0, required } of options) {
      if (initial === undefined) continue;
      assert.ok(initial >= minimum && initial <= maximum, name);
      assert.is(required, undefined, name);
    }
  }
});

test('each option of a command that takes a value has bounds', () => {
  for (const [name, { options }] of commands) {
    for (const { type, maximum, choices, long } of options) {
      assert.ok(type === 'flag' || maximum !== undefined || choices !== undefined, `${name} --${long}`);
    }
  }
});

test('a command of a route that changes says nothing or shows what became of it', () => {
  for (const [name, { route, output }] of commands) {
    // A key is for those who may change, and esxcli shows it as a table.
    if (name === 'recoveryKey') continue;
    if (route === null || ACCESS_RULES[ROUTES[route].access].peer !== 'change') continue;
    const isList = name === 'applyConfiguration' || name === 'zeroize';
    const shows = isList ? 'list' : 'object';
    assert.ok(output === null || output.kind === shows, name);
  }
});

test('fields have names of their own, for people and for machines', () => {
  for (const { struct, fields, nested } of shapes) {
    assert.ok(distinct(fields.map(({ key }) => key)), struct);
    const labels = [...fields.map(({ label }) => label), ...(nested === undefined ? [] : [nested.label])];
    assert.ok(distinct(labels.map(machineName)), struct);
  }
});

test('the columns of a table are fields of its shape', () => {
  for (const { struct, fields, tableColumns = [] } of shapes) {
    for (const column of tableColumns)
      assert.ok(
        fields.some(({ key }) => key === column),
        `${struct} ${column}`,
      );
  }
});

test('labels make the machine names that esxcli would make', () => {
  assert.is(machineName('Memory Cache Size Kibibytes'), 'MemoryCacheSizeKibibytes');
  assert.is(machineName('Mixer SHA-256'), 'MixerSHA256');
});

test('texts are one line without a final full stop', () => {
  for (const [name, { summary, options, argument }] of commands) {
    const texts = [
      summary,
      ...options.map(({ description }) => description),
      argument?.description ?? 'none',
    ];
    for (const text of texts) assert.match(text, /^[A-Za-z][^\n]*[^.\n]$/, name);
  }
});

test.run();
