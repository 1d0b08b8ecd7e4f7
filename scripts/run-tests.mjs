// Runs every tests/**/*.test.ts in a process of its own, two at a time, each killed at a limit. uvu by itself exits 0 for a file
// that ran no test, so this runner counts: no test, a crash and a time-out are failures. The last line is always
// `N passed, N failed, N skipped`.
//
//   node scripts/run-tests.mjs [--long] [PART-OF-A-PATH …]
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const long = args.includes('--long');
const wanted = args.filter((argument) => !argument.startsWith('--'));
const FILE_LIMIT_MS = (long ? 60 : 3) * 60_000;
const OUTPUT_LIMIT_CHARACTERS = 200_000;
const AT_A_TIME = 2;

const files = testFiles(path.join(root, 'tests')).filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
/** Process groups of the test files that run now. */
const running = new Set();
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => {
    for (const group of running) killGroup(group);
    process.exit(code);
  });
}

const totals = { passed: 0, failed: 0, skipped: 0 };
const queue = [...files];
await Promise.all(Array.from({ length: AT_A_TIME }, worker));
if (files.length === 0) {
  console.log('no test file found');
  totals.failed += 1;
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;

function testFiles(directory) {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
}

async function worker() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) report(file, await runFile(file));
}

function runFile(file) {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', TEST_LONG: long ? '1' : '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child.pid);
    let output = '';
    let timedOut = false;
    const collect = (chunk) => {
      if (output.length < OUTPUT_LIMIT_CHARACTERS) output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, FILE_LIMIT_MS);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child.pid);
      resolve({
        code,
        signal,
        timedOut,
        output: plain(output),
        seconds: (performance.now() - started) / 1000,
      });
    });
  });
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended in this moment.
  }
}

/** Adds one file's counts to the totals and tells about it; whatever cannot be counted is a failure. */
function report(file, { code, signal, timedOut, output, seconds }) {
  const total = figure(output, 'Total');
  const passed = figure(output, 'Passed');
  const skipped = figure(output, 'Skipped');
  const maySkip = [...output.matchAll(/^# may skip: /gm)].length;
  const trouble = troubleOf({ code, signal, timedOut, total, passed, skipped, maySkip });
  const failed = Math.max(total - passed, trouble === '' ? 0 : 1);
  totals.passed += passed;
  totals.skipped += skipped;
  totals.failed += failed;
  const verdict = failed === 0 ? 'ok  ' : 'FAIL';
  console.log(
    `${verdict} ${file}  ${passed} passed, ${failed} failed, ${skipped} skipped  ${seconds.toFixed(1)} s`,
  );
  if (failed > 0) console.log(`--- ${trouble}\n${output.trim()}\n---`);
  if (failed === 0 && notes(output) !== '') console.log(notes(output));
}

function troubleOf({ code, signal, timedOut, total, passed, skipped, maySkip }) {
  if (timedOut) return `killed after ${FILE_LIMIT_MS / 1000} s`;
  if (signal !== null) return `ended by ${signal}`;
  if (total + skipped === 0) return 'ran no test';
  if (total !== passed) return `${total - passed} failed`;
  if (code !== 0) return `exit code ${code} although all tests passed`;
  if (skipped > maySkip && process.env.CI === 'true') return `${skipped} skipped, which CI does not accept`;
  return '';
}

function figure(output, name) {
  return [...output.matchAll(new RegExp(`^\\s*${name}:\\s+(\\d+)`, 'gm'))].reduce(
    (sum, match) => sum + Number(match[1]),
    0,
  );
}

/** Lines a test prints to report a figure begin with "# ", indented here. */
function notes(output) {
  return output
    .split('\n')
    .filter((line) => line.startsWith('# '))
    .map((line) => `     ${line}`)
    .join('\n');
}

function plain(text) {
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}
