import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isEntropyError, type ErrorCode } from '../../src/base/errors.ts';
import { DIGESTS_FILE, loadModule, moduleFile, type MixerBuild } from '../../src/mixer/wasm-module.ts';
import { BUILDS, BUILD_DIRECTORY } from './built.ts';

/** Each test gets a copy of the built files to spoil. */
const spoiled = suite<{ directory: string }>('module checks');

spoiled.before.each((context) => {
  context.directory = mkdtempSync(path.join(tmpdir(), 'mixer-module-'));
  for (const file of [...BUILDS.map(moduleFile), DIGESTS_FILE]) {
    copyFileSync(path.join(BUILD_DIRECTORY, file), path.join(context.directory, file));
  }
});

spoiled.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

function assertRefused(
  directory: string,
  code: ErrorCode,
  detail: RegExp,
  build: MixerBuild = 'scalar',
): void {
  assert.throws(
    () => loadModule({ directory, build }),
    (error: unknown) => {
      assert.ok(isEntropyError(error, code), String(error));
      assert.match(error.message, detail);
      return true;
    },
  );
}

/** Changes the module and records the digest of what came out, as a build of other source would. */
function rebuild(
  directory: string,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
  build: MixerBuild = 'scalar',
): void {
  const file = path.join(directory, moduleFile(build));
  const bytes = change(Uint8Array.from(readFileSync(file)));
  writeFileSync(file, bytes);
  const digest = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(path.join(directory, DIGESTS_FILE), JSON.stringify({ [moduleFile(build)]: digest }));
}

/** Replaces the one place where the bytes stand. */
function replaceOnce(bytes: Uint8Array, from: readonly number[], to: readonly number[]): Uint8Array {
  const haystack = Buffer.from(bytes);
  const at = haystack.indexOf(Buffer.from(from));
  assert.ok(at >= 0, 'the bytes to replace are there');
  assert.is(haystack.indexOf(Buffer.from(from), at + 1), -1, 'and only once');
  haystack.set(to, at);
  return Uint8Array.from(haystack);
}

for (const build of BUILDS) {
  spoiled(`${build}: loads, says which it is and its digest`, ({ directory }) => {
    const module = loadModule({ directory, build });
    assert.is(module.build, build);
    const bytes = readFileSync(path.join(directory, moduleFile(build)));
    assert.is(module.sha256, createHash('sha256').update(bytes).digest('hex'));
  });
}

spoiled('without a wish, SIMD where the engine takes the real file, else scalar', ({ directory }) => {
  assert.is(loadModule({ directory }).build, 'simd');
  writeFileSync(path.join(directory, moduleFile('simd')), Buffer.from([0, 0x61, 0x73, 0x6d, 9, 0, 0, 0]));
  assert.is(loadModule({ directory }).build, 'scalar');
});

spoiled('a missing module or digest file', ({ directory }) => {
  unlinkSync(path.join(directory, DIGESTS_FILE));
  assertRefused(directory, 'module-missing', /digests.*ENOENT/);
  unlinkSync(path.join(directory, moduleFile('scalar')));
  assertRefused(directory, 'module-missing', /scalar.*ENOENT/);
});

spoiled('one flipped bit anywhere in the file', ({ directory }) => {
  const file = path.join(directory, moduleFile('scalar'));
  const bytes = readFileSync(file);
  for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1;
    writeFileSync(file, flipped);
    assertRefused(directory, 'module-digest-mismatch', /mixer\.scalar\.wasm/);
  }
});

spoiled('a digest file that is no table, or does not name the module', ({ directory }) => {
  for (const text of ['', 'null', '"x"', '{}', '[]', '{"mixer.scalar.wasm": 7}']) {
    writeFileSync(path.join(directory, DIGESTS_FILE), text);
    assertRefused(directory, 'module-digest-mismatch', /./);
  }
});

spoiled('something that is no WebAssembly, though its digest is right', ({ directory }) => {
  rebuild(directory, () => Uint8Array.from(Buffer.from('no module')));
  assertRefused(directory, 'module-abi-mismatch', /./);
});

spoiled('a module with nothing in it', ({ directory }) => {
  rebuild(directory, () => Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  assertRefused(directory, 'module-abi-mismatch', /does not export abiVersion.*memory/);
});

spoiled('a module that imports', ({ directory }) => {
  const type = [1, 4, 1, 0x60, 0, 0];
  const imports = [2, 13, 1, 3, 0x65, 0x6e, 0x76, 5, 0x61, 0x62, 0x6f, 0x72, 0x74, 0, 0];
  rebuild(directory, () => Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...type, ...imports));
  assertRefused(directory, 'module-abi-mismatch', /imports abort/);
});

spoiled('a memory that can grow, or is of another size', ({ directory }) => {
  // Memory section: id 5, 4 bytes, 1 memory, flags 1 (with maximum), initial 4, maximum 4.
  rebuild(directory, (bytes) => replaceOnce(bytes, [5, 4, 1, 1, 4, 4], [5, 4, 1, 1, 4, 5]));
  assertRefused(directory, 'module-abi-mismatch', /memory can grow/);
  rebuild(directory, (bytes) => replaceOnce(bytes, [5, 4, 1, 1, 4, 5], [5, 4, 1, 1, 5, 5]));
  assertRefused(directory, 'module-abi-mismatch', /327680 bytes of memory/);
});

spoiled('another ABI version, and segments that do not fit', ({ directory }) => {
  // The debug build, because the optimiser makes one function of two that answer the same.
  const original = readFileSync(path.join(directory, moduleFile('debug')));
  for (const [name, value, detail] of [
    ['abiVersion', 2, /ABI version 2/],
    ['segmentCount', 12, /12 segments/],
    ['segmentCapacity', 9, /segment input/],
    ['segmentAddress', 0, /segment input/],
    ['segmentAddress', 16, /overlaps/],
    ['segmentSecrecy', 2, /segment credit/],
    ['selfTestCount', 12, /12 self-tests/],
  ] as const) {
    rebuild(directory, () => withConstantFunction(Uint8Array.from(original), name, value), 'debug');
    assertRefused(directory, 'module-abi-mismatch', detail, 'debug');
  }
});

spoiled('a self-test that fails, and one that cannot fail', ({ directory }) => {
  rebuild(directory, (bytes) => flipAnswer(bytes));
  assertRefused(directory, 'self-test-failed', /SHA-512, two blocks/);
  copyFileSync(path.join(BUILD_DIRECTORY, moduleFile('scalar')), path.join(directory, moduleFile('scalar')));
  rebuild(directory, (bytes) => withConstantFunction(bytes, 'selfTest', 0));
  assertRefused(directory, 'self-test-failed', /one block: did not see an induced fault/);
});

/** The digest of the two-block message, with its first bit flipped. */
function flipAnswer(bytes: Uint8Array): Uint8Array {
  const digestHead = [0x8e, 0x95, 0x9b, 0x75, 0xda, 0xe3];
  return replaceOnce(bytes, digestHead, [0x8f, ...digestHead.slice(1)]);
}

/** Gives an exported function a body that answers one small number, whatever it is asked. */
function withConstantFunction(bytes: Uint8Array, name: string, value: number): Uint8Array {
  const sections = sectionsOf(bytes);
  const index = functionIndex(sections.get(7)!, name);
  const code = sections.get(10)!;
  const reader = new Reader(code);
  const bodies = Array.from({ length: reader.number() }, () => reader.bytes());
  bodies[index] = Uint8Array.of(0, 0x41, value, 0x0b);
  const encoded = [leb(bodies.length), ...bodies.flatMap((body) => [leb(body.length), body])];
  sections.set(10, Uint8Array.from(Buffer.concat(encoded)));
  const parts = [...sections].flatMap(([id, content]) => [Uint8Array.of(id), leb(content.length), content]);
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, 8), ...parts]));
}

function sectionsOf(bytes: Uint8Array): Map<number, Uint8Array> {
  const reader = new Reader(bytes.subarray(8));
  const sections = new Map<number, Uint8Array>();
  while (!reader.atEnd) {
    const id = reader.number();
    if (id === 0) reader.bytes();
    else sections.set(id, reader.bytes());
  }
  return sections;
}

/** The module has no imports, so a function's index is its place among the bodies. */
function functionIndex(exports: Uint8Array, name: string): number {
  const reader = new Reader(exports);
  for (let left = reader.number(); left > 0; left--) {
    const exported = Buffer.from(reader.bytes()).toString();
    reader.number();
    const index = reader.number();
    if (exported === name) return index;
  }
  throw new Error(`no export ${name}`);
}

/** Reads the two things a WebAssembly file is made of: LEB128 numbers, and byte strings led by their length. */
class Reader {
  readonly #from: Uint8Array;
  #at = 0;

  constructor(from: Uint8Array) {
    this.#from = from;
  }

  get atEnd(): boolean {
    return this.#at === this.#from.length;
  }

  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#from[this.#at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  bytes(): Uint8Array {
    const length = this.number();
    this.#at += length;
    return this.#from.subarray(this.#at - length, this.#at);
  }
}

function leb(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Uint8Array.of(...bytes, value);
}

spoiled.run();
