// Makes a fresh clone ready to start or test: installs what the lock file names and builds what is missing or stale.
// Runs before `npm start`, `npm test` and `npm run bench`, so it is plain JavaScript on Node's own modules only, and
// writes nothing when nothing changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const installMark = path.join(root, 'node_modules', '.entropy-mixer-installed');
const turnFile = path.join(root, '.preparing');
const buildMark = path.join(root, 'out', 'built-from');
const buildInputs = [
  'src',
  'assembly',
  'native',
  'scripts',
  'asconfig.json',
  'tsconfig.json',
  'package.json',
  'package-lock.json',
];

/** What a build leaves: when one of them is gone, the mark is not believed. */
const products = [
  'build/mixer.digests.json',
  'out/entropyd.js',
  'out/engine-thread.js',
  'out/entropyctl.js',
  'out/entropy-feed.js',
  'out/pkcs11-child.js',
  'out/feeder.js',
  'out/openapi.json',
  'out/manifest.json',
].map((name) => path.join(root, name));

prepare();

function prepare() {
  if (isReady()) return;
  const release = takeTurn();
  try {
    // Whoever was before may have done it all.
    if (isReady()) return;
    const lockDigest = digestOf(['package-lock.json']);
    if (readMark(installMark) !== lockDigest) {
      run('Installing packages (npm ci)', npmCommand(['ci', '--include=dev', '--no-fund', '--no-audit']));
      writeFileSync(installMark, lockDigest);
    }
    if (!isBuilt()) {
      run('Building', [process.execPath, path.join(root, 'scripts', 'build.mjs')]);
      writeFileSync(buildMark, digestOf(buildInputs));
    }
  } finally {
    release();
  }
}

function isReady() {
  return readMark(installMark) === digestOf(['package-lock.json']) && isBuilt();
}

function isBuilt() {
  return readMark(buildMark) === digestOf(buildInputs) && products.every((product) => existsSync(product));
}

/** One at a time: `npm start` and `npm test` in one fresh clone must not install over each other. */
function takeTurn() {
  for (let told = false; ; told = true) {
    try {
      writeFileSync(turnFile, String(process.pid), { flag: 'wx' });
      return () => rmSync(turnFile, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readMark(turnFile));
    if (!isAlive(holder)) rmSync(turnFile, { force: true });
    else if (!told)
      process.stderr.write(`entropy-mixer: waiting for process ${holder}, which prepares this folder\n`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  }
}

function isAlive(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readMark(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** SHA-256 over names and contents of all files at or below the given paths, in sorted order. */
function digestOf(names) {
  const hash = createHash('sha256');
  for (const name of names) addToDigest(hash, name);
  return hash.digest('hex');
}

function addToDigest(hash, name) {
  const full = path.join(root, name);
  if (!existsSync(full)) return;
  const children = directoryEntries(full);
  if (children === undefined) {
    const bytes = readFileSync(full);
    hash.update(`${name}\0${String(bytes.length)}\0`).update(bytes);
    return;
  }
  for (const child of children.sort()) addToDigest(hash, path.join(name, child));
}

function directoryEntries(full) {
  try {
    return readdirSync(full);
  } catch {
    return undefined;
  }
}

/** npm as this script was started by it, or as found on PATH. */
function npmCommand(args) {
  const npm = process.env.npm_execpath;
  return npm?.endsWith('.js') ? [process.execPath, npm, ...args] : ['npm', ...args];
}

function run(what, [command, ...args]) {
  process.stderr.write(`entropy-mixer: ${what} …\n`);
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], env: environment() });
  if (result.status === 0) return;
  process.stderr.write(
    `entropy-mixer: ${what} failed (${result.error?.message ?? `exit ${String(result.status)}`})\n`,
  );
  rmSync(turnFile, { force: true });
  process.exit(1);
}

/** npm needs a cache it can write: a service user's home often is not. */
function environment() {
  try {
    accessSync(homedir(), constants.W_OK);
    return process.env;
  } catch {
    return { ...process.env, npm_config_cache: mkdtempSync(path.join(tmpdir(), 'npm-cache-')) };
  }
}
