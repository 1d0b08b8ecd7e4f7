/**
 * Compiles native/ into build/native: addon.node and kernel-writer. The package's install script, so it needs nothing
 * but Node, a C compiler ($CC or cc) and the node-api-headers package, and it never makes an installation fail:
 * what could not be built is told, and the programs run without it.
 *
 *   node scripts/build-native.mjs [--output DIR] [--strict]
 *
 * --strict (and CI=true) turns compiler warnings into errors. Nothing is compiled when build/native/stamp.json says
 * that the outputs come from these very sources, flags, headers and compiler.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = join(ROOT, 'native');
const COMPILE_LIMIT_MS = 120_000;

const COMMON_FLAGS = [
  '-std=gnu11',
  '-D_GNU_SOURCE',
  '-O2',
  '-Wall',
  '-Wextra',
  '-fstack-protector-strong',
  '-U_FORTIFY_SOURCE',
  '-D_FORTIFY_SOURCE=2',
  '-Wl,-z,relro,-z,now,-z,noexecstack',
];

const TARGETS = [
  {
    name: 'addon.node',
    sources: ['addon.c', 'arguments.c', 'cpu.c', 'interrupts.c', 'system.c', 'uevents.c'],
    flags: ['-fPIC', '-shared', '-fvisibility=hidden', '-pthread'],
    needsNodeHeaders: true,
  },
  { name: 'kernel-writer', sources: ['kernel-writer.c'], flags: ['-fPIE', '-pie'], needsNodeHeaders: false },
];

const { values: options } = parseArgs({
  options: { output: { type: 'string' }, strict: { type: 'boolean', default: process.env.CI === 'true' } },
});
build(options.output ?? join(ROOT, 'build', 'native'), options.strict);

function build(output, strict) {
  const compiler = findCompiler();
  const headers = findNodeHeaders();
  const sourcesDigest = digestOfSources();
  const stamp = readStamp(output);
  const outputsIntact = stamp?.sources === sourcesDigest && outputsMatch(output, stamp);

  if (compiler === undefined) {
    if (outputsIntact) return say('up to date (there is no C compiler to build it again)');
    removeOutputs(output);
    return say(
      'not built: there is no C compiler (cc or $CC). Interrupts, RDRAND and RDSEED will be unavailable and the ' +
        'kernel is fed without credit. Install one and run `npm ci` again.',
    );
  }
  const inputs = { compiler: compiler.version, headers: headers?.version ?? 'none' };
  if (outputsIntact && JSON.stringify(stamp.inputs) === JSON.stringify(inputs)) return say('up to date');

  removeOutputs(output);
  mkdirSync(output, { recursive: true });
  const outputs = {};
  for (const target of TARGETS) {
    const problem = compile(target, { compiler, headers, output, strict });
    if (problem === undefined) outputs[target.name] = digest(readFileSync(join(output, target.name)));
    else complain(target.name, problem);
  }
  const names = Object.keys(outputs);
  if (names.length === TARGETS.length) {
    replaceFile(
      join(output, 'stamp.json'),
      `${JSON.stringify({ sources: sourcesDigest, inputs, outputs }, null, 2)}\n`,
    );
  }
  if (names.length > 0) say(`built ${names.join(' and ')} with ${compiler.version}`);
}

/** $CC may carry arguments, as in `ccache gcc`. */
function findCompiler() {
  const [command = 'cc', ...leading] = (process.env.CC ?? '').split(/\s+/).filter(Boolean);
  const answer = spawnSync(command, [...leading, '--version'], {
    encoding: 'utf8',
    timeout: COMPILE_LIMIT_MS,
  });
  if (answer.status !== 0) return undefined;
  return { command, leading, version: answer.stdout.split('\n', 1)[0].trim() };
}

function findNodeHeaders() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node-api-headers/package.json');
    return {
      directory: join(dirname(manifest), 'include'),
      version: JSON.parse(readFileSync(manifest, 'utf8')).version,
    };
  } catch {
    return undefined;
  }
}

/** Undefined when it worked, else what to print. Compiles beside its place and renames: no reader sees half a file. */
function compile(target, { compiler, headers, output, strict }) {
  if (target.needsNodeHeaders && headers === undefined)
    return 'the package node-api-headers is not installed';
  const temporary = join(output, `.${target.name}.${process.pid}`);
  const answer = spawnSync(
    compiler.command,
    [
      ...compiler.leading,
      ...COMMON_FLAGS,
      ...target.flags,
      ...(strict ? ['-Werror'] : []),
      ...(target.needsNodeHeaders ? ['-isystem', headers.directory] : []),
      ...target.sources.map((name) => join(SOURCES, name)),
      '-o',
      temporary,
    ],
    { encoding: 'utf8', timeout: COMPILE_LIMIT_MS, env: { ...process.env, LC_ALL: 'C' } },
  );
  if (answer.status !== 0) {
    rmSync(temporary, { force: true });
    return (
      answer.error?.message ??
      (answer.stderr.trim() || `${compiler.command} ended with ${answer.signal ?? answer.status}`)
    );
  }
  if (answer.stderr.trim() !== '') process.stderr.write(`${answer.stderr.trim()}\n`);
  renameSync(temporary, join(output, target.name));
  return undefined;
}

/** Over this script too, since it holds the flags. */
function digestOfSources() {
  const names = readdirSync(SOURCES)
    .filter((name) => /\.[ch]$/.test(name))
    .sort();
  const files = [fileURLToPath(import.meta.url), ...names.map((name) => join(SOURCES, name))];
  return digest(files.map((file) => digest(readFileSync(file))).join('\n'));
}

function digest(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function readStamp(output) {
  try {
    return JSON.parse(readFileSync(join(output, 'stamp.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

function outputsMatch(output, stamp) {
  try {
    return TARGETS.every(({ name }) => digest(readFileSync(join(output, name))) === stamp.outputs?.[name]);
  } catch {
    return false;
  }
}

function removeOutputs(output) {
  for (const name of ['stamp.json', ...TARGETS.map((target) => target.name)])
    rmSync(join(output, name), { force: true });
}

function replaceFile(path, text) {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

function say(text) {
  process.stdout.write(`native: ${text}\n`);
}

function complain(name, problem) {
  process.stderr.write(
    `${problem}\nnative: ${name} NOT BUILT, see above. The programs run without it, and say what is missing.\n`,
  );
}
