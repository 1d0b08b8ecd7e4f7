import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/**
 * The layers of src/, lowest first: a file imports from its own folder and from earlier lines only, and folders on one line know
 * nothing of each other. Where a line names what it may import, it is held to that.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['base'],
  ['durable'],
  ['hardware'],
  ['tpm'],
  ['protocol'],
  ['contract'],
  ['policy'],
  ['mixer', 'health'],
  ['sources'],
  ['cache'],
  ['kernel', 'audit'],
  ['state'],
  ['engine'],
  ['service'],
  ['api'],
  ['evidence', 'conformance', 'install'],
  ['feeder'],
  ['cli'],
  ['daemon'],
];

const ONLY_FROM: Readonly<Record<string, readonly string[]>> = {
  base: [],
  durable: ['base'],
  hardware: ['base'],
  tpm: ['base'],
  protocol: ['base'],
  contract: ['base'],
  policy: ['base'],
  mixer: ['base', 'hardware'],
  health: ['base', 'hardware'],
  feeder: ['base', 'hardware', 'protocol', 'tpm'],
  cli: ['base', 'protocol', 'contract'],
};

/** The folders that may import a package: each has its place, and the log library is the daemon's alone. */
const PACKAGE_OWNERS: Readonly<Record<string, readonly string[]>> = {
  pino: ['daemon'],
  '@assemblyscript/loader': ['mixer'],
  fastify: ['api'],
  '@fastify/type-provider-typebox': ['api'],
  ws: ['api', 'cli', 'feeder'],
  pkcs11js: ['feeder'],
  typebox: ['contract', 'api', 'cli'],
  commander: ['cli'],
  'tar-stream': ['state'],
  pkijs: ['cli'],
  asn1js: ['cli'],
};

/** Programs tell their version from it. */
const MANIFEST = '../../package.json';

const root = fileURLToPath(new URL('../src', import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort();

interface Import {
  readonly file: string;
  readonly folder: string;
  readonly specifier: string;
  readonly sideEffectOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  const folder = file.split(path.sep)[0] ?? '';
  const found = [...text.matchAll(/^\s*(?:import|export)\b([^;'"]*?\bfrom\s*)?['"]([^'"]+)['"]/gm)];
  const lazy = [...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)];
  return [
    ...found.map((match) => ({
      file,
      folder,
      specifier: match[2] ?? '',
      sideEffectOnly: match[1] === undefined,
    })),
    ...lazy.map((match) => ({ file, folder, specifier: match[1] ?? '', sideEffectOnly: false })),
  ];
}

const imports = files.flatMap(importsOf);

function targetFolder({ file, specifier }: Import): string | undefined {
  if (!specifier.startsWith('.') || specifier === MANIFEST) return undefined;
  const target = path.normalize(path.join(path.dirname(file), specifier));
  return target.startsWith('..') ? 'outside src' : target.split(path.sep)[0];
}

function layerOf(folder: string): number {
  return LAYERS.findIndex((names) => names.includes(folder));
}

test('every folder of src has its place in the layers', () => {
  const folders = new Set(files.map((file) => file.split(path.sep)[0] ?? ''));
  assert.equal(
    [...folders].filter((folder) => layerOf(folder) < 0),
    [],
  );
});

test('imports go to earlier layers only', () => {
  const wrong = imports.filter((one) => {
    const target = targetFolder(one);
    if (target === undefined || target === one.folder) return false;
    const allowed = ONLY_FROM[one.folder];
    if (allowed !== undefined && !allowed.includes(target)) return true;
    return layerOf(target) < 0 || layerOf(target) >= layerOf(one.folder);
  });
  assert.equal(
    wrong.map((one) => `${one.file} → ${one.specifier}`),
    [],
  );
});

test('no import is made for its side effect', () => {
  assert.equal(
    imports.filter((one) => one.sideEffectOnly).map((one) => `${one.file} → ${one.specifier}`),
    [],
  );
});

test('packages are imported where they belong', () => {
  const wrong = imports.filter(({ specifier, folder }) => {
    if (specifier.startsWith('.') || specifier.startsWith('node:')) return false;
    const name = Object.keys(PACKAGE_OWNERS).find(
      (owned) => specifier === owned || specifier.startsWith(`${owned}/`),
    );
    return name === undefined || !PACKAGE_OWNERS[name]!.includes(folder);
  });
  assert.equal(
    wrong.map((one) => `${one.file} → ${one.specifier}`),
    [],
  );
});

test('the native addon is loaded by one file', () => {
  const loaders = files.filter((file) => readFileSync(path.join(root, file), 'utf8').includes('.node'));
  assert.ok(
    loaders.every((file) => file.startsWith('hardware') || file.startsWith('daemon')),
    loaders.join(', '),
  );
});

test.run();
