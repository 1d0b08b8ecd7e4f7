/**
 * Builds the mixer module: build/mixer.{simd,scalar,debug}.wasm and their SHA-256 in build/mixer.digests.json.
 * With --check: builds twice elsewhere, and fails unless both give the bytes that stand in build/.
 */
import asc from 'assemblyscript/asc';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const TARGETS = ['simd', 'scalar', 'debug'];
const DIGESTS = 'mixer.digests.json';
const FILES = [...TARGETS.map(fileOf), DIGESTS];

if (process.argv.includes('--check')) await check();
else await build(path.join(root, 'build'));

async function build(directory) {
  mkdirSync(directory, { recursive: true });
  const digests = {};
  for (const target of TARGETS) {
    const file = path.join(directory, fileOf(target));
    await compile(target, file);
    digests[fileOf(target)] = createHash('sha256').update(readFileSync(file)).digest('hex');
  }
  writeFileSync(path.join(directory, DIGESTS), `${JSON.stringify(digests, null, 2)}\n`);
}

async function compile(target, outFile) {
  // Paths relative to the root: the debug build carries them, and must not depend on where the clone stands.
  const options = ['--target', target, '--outFile', path.relative(root, outFile), '--baseDir', root];
  const { error, stdout, stderr } = await asc.main(options);
  process.stderr.write(stdout.toString() + stderr.toString());
  if (error) throw error;
}

async function check() {
  const copies = [0, 1].map(() => mkdtempSync(path.join(tmpdir(), 'mixer-wasm-')));
  try {
    for (const copy of copies) await build(copy);
    const differing = FILES.filter((file) => {
      const [first, ...others] = [...copies, path.join(root, 'build')].map((folder) =>
        readFileSync(path.join(folder, file)),
      );
      return !others.every((other) => first.equals(other));
    });
    if (differing.length > 0) {
      process.stderr.write(`not the same bytes in every build: ${differing.join(', ')}\n`);
      process.exitCode = 1;
    }
  } finally {
    for (const copy of copies) rmSync(copy, { recursive: true, force: true });
  }
}

function fileOf(target) {
  return `mixer.${target}.wasm`;
}
