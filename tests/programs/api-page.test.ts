import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { curlLine } from '../../scripts/api-examples.ts';
import { ROUTE_NAMES, ROUTES, type RouteName } from '../../src/contract/routes.ts';
import { hasProgram, hasRdseed, testWhen } from '../requirements.ts';
import { ROOT, withDaemon, type DaemonProcess } from './daemon-process.ts';

/** docs/api.md: made from the tables, and every line of shell in it runs. */

const PAGE = readFileSync(path.join(ROOT, 'docs', 'api.md'), 'utf8');
const BLOCKS = [...PAGE.matchAll(/```sh\n([^]*?)```/g)].map((match) => (match[1] ?? '').trim());

/** What needs a source that this host may not have, and what is refused on a host in health. */
const REFUSED: Partial<Record<RouteName, number>> = { suspendSeal: 409, zeroize: 409, restoreSource: 409 };
const NEEDS_RDSEED: readonly RouteName[] = ['ready', 'overrideGate', 'testSource', 'random'];

test('docs/api.md is what the routes say', () => {
  const args = ['--import', 'tsx', 'scripts/api-page.ts', '--check'];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  assert.equal([status, stderr], [0, '']);
});

test('each route has its line, but the WebSocket', () => {
  for (const name of ROUTE_NAMES) {
    const line = curlLine(name);
    if (name === 'eventStream') assert.is(line, undefined);
    else assert.ok(BLOCKS.includes(line ?? ''), name);
  }
});

/** Runs all blocks in one shell, as a reader would type them; gives what each printed. */
function typed(daemon: DaemonProcess, directory: string): string[] {
  const bin = path.join(directory, 'bin');
  mkdirSync(bin);
  writeFileSync(
    path.join(bin, 'entropyctl'),
    `#!/bin/sh\nexec ${process.execPath} ${path.join(ROOT, 'bin', 'entropyctl')} --runtime-dir "$RUNTIME_DIR" "$@"\n`,
    { mode: 0o755 },
  );
  symlinkSync(process.execPath, path.join(bin, 'node'));
  // Quiet, with the status behind what it answers.
  writeFileSync(
    path.join(directory, '.curlrc'),
    'silent\nshow-error\nnoproxy = "*"\nwrite-out = "\\n%{http_code}\\n"\n',
  );
  const { publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 3072,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  writeFileSync(path.join(directory, 'recipient.json'), JSON.stringify({ recipient: publicKey }));
  const marker = '#### next';
  const script = ['set -eu', ...BLOCKS.map((block) => `${block}\necho '${marker}'`)].join('\n');
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 60_000,
    env: {
      PATH: `${bin}:${process.env.PATH ?? ''}`,
      HOME: directory,
      CURL_HOME: directory,
      RUNTIME_DIR: daemon.runtimeDirectory,
    },
  });
  assert.equal([status, stderr], [0, ''], stdout.slice(-2_000));
  return stdout.split(`${marker}\n`);
}

testWhen(hasProgram('curl') && hasProgram('openssl') && hasProgram('bash'))(
  'every line runs against a daemon, and answers what the page says',
  async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'api-page-'));
    const sources = hasRdseed ? '12' : '9';
    await withDaemon({ arguments: [`--entropy-sources=${sources}`] }, (daemon) => {
      if (hasRdseed) assert.is(daemon.control('mixer', 'wait-ready', '--timeout', '20').code, 0);
      const outputs = typed(daemon, directory);
      const outputOf = (block: string): string => outputs[BLOCKS.indexOf(block)] ?? '';
      for (const name of ROUTE_NAMES) {
        const line = curlLine(name);
        if (line === undefined || (!hasRdseed && NEEDS_RDSEED.includes(name))) continue;
        const output = outputOf(line).trim();
        assert.is(
          Number(output.split('\n').at(-1)),
          REFUSED[name] ?? ROUTES[name].success,
          `${line}\n${output}`,
        );
      }
      const receipt = JSON.parse(outputOf(curlLine('sendEntropy') ?? '').split('\n')[0] ?? '') as Record<
        string,
        unknown
      >;
      assert.equal([receipt.verdict, receipt.sequence, receipt.payloadBytes], ['accepted', 1, 4_096]);
      const byOpenssl = outputs[BLOCKS.findIndex((block) => block.startsWith('KEY='))]?.trim();
      assert.is(receipt.requestDigest, byOpenssl);
      const verified = daemon.control('mixer', 'receipt', 'verify', path.join(directory, 'hsm.receipts'));
      assert.is(verified.code, 0, verified.stderr);
    });
    rmSync(directory, { recursive: true });
  },
);

test.run();
