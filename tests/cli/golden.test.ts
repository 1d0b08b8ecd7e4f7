import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  COMMAND_NAMES,
  COMMANDS,
  FORMATTERS,
  NAMESPACES,
  type CommandName,
} from '../../src/contract/commands.ts';
import { closeBench, openBench } from '../api/control-bench.ts';
import {
  FakeControlService,
  NOW_MS,
  sampleFeed,
  sampleSource,
  sampleStatus,
} from '../api/fake-control-service.ts';
import { sampleExternal } from '../api/sample-external.ts';
import { assertGolden, runCommand, transcript } from './cli-bench.ts';
import { sampleReceipts } from './sample-receipts.ts';

const WANTED = JSON.stringify({ entropySources: 4, memoryCacheSizeKibibytes: null, feedIntervalSeconds: 7 });

/** Words after the command, for those that need some. */
const REST: Partial<Record<CommandName, string>> = {
  applyConfiguration: ' wanted.json',
  explain: ' gate-closed',
  testSource: ' rdseed',
  restoreSource: ' rdseed --reason fixed',
  overrideGate: ' --mask 4 --for 10m --reason "HSM is being moved"',
  changeEncryption: ' --mode=TPM --require-secure-boot=T',
  setEntropydSettings: ' --memory-cache-size 612 --reset storage-cache-size',
  setKernelSetting: ' -s entropySources -v 12',
  enrollFeeder: ' hsm-2 --class drbg --bits-per-byte 1/32',
  rotateFeeder: ' hsm-1',
  disableFeeder: ' hsm-1',
  enableFeeder: ' hsm-1',
  revokeFeeder: ' hsm-1',
  suspendSeal: ' --boots 1',
  zeroize: ' --yes-destroy vault-7',
  selfSigned: ' --cert cert.pem --key key.pem --name lab.example',
  escrowRecovery: ' --recipient fleet.pem',
  showReceipts: ' receipts',
  verifyReceipts: ' receipts',
  createToken: ' new --scope random,observe --expires 90d --output new.token',
  revokeToken: ' dashboard',
  addAccount: ' -i new --password-file password',
  removeAccount: ' -i hsm-1',
  setPassword: ' -i hsm-1 --password-file password',
  setPassphrase: ' --passphrase-file password',
  setRole: ' -i hsm-1 -r ReadOnly',
};

/** Runs the lines against a daemon with this service, and gives their transcript. */
async function session(
  lines: readonly string[],
  prepare: (service: FakeControlService) => void = () => undefined,
) {
  const bench = await openBench();
  prepare(bench.service);
  let text = '';
  for (const line of lines) {
    const workingDirectory = await workplace();
    const outcome = await runCommand(['--runtime-dir', bench.directory, ...wordsOf(line)], {
      workingDirectory,
    });
    text += transcript(line, outcome, bench.directory);
    await rm(workingDirectory, { recursive: true });
  }
  await closeBench(bench);
  return text;
}

/** A folder with receipts and a configuration in it, where key files may be written. */
async function workplace(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'cli-'));
  await writeFile(path.join(directory, 'receipts'), sampleReceipts());
  await writeFile(path.join(directory, 'password'), 'correct horse\n', { mode: 0o600 });
  await writeFile(path.join(directory, 'wanted.json'), WANTED);
  await writeFile(path.join(directory, 'fleet.pem'), 'PEM');
  return directory;
}

/** Splits at spaces; a line of a test quotes what holds one. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

/** Grows with every command; tests/cli/completion.test.ts has bash read it instead. */
const NOT_KEPT: readonly CommandName[] = ['completion'];

/** A certificate made now has a key and an end of its own. */
function withoutChance(text: string): string {
  return text.replaceAll(/\b[0-9a-f]{64}\b/g, '<sha-256>').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>');
}

for (const name of COMMAND_NAMES.filter((each) => !NOT_KEPT.includes(each))) {
  const line = COMMANDS[name].words.join(' ') + (REST[name] ?? '');
  test(`${line}, in every format`, async () => {
    const lines = [line, ...FORMATTERS.map((formatter) => `${line} --formatter=${formatter}`)];
    const text = await session(lines);
    assertGolden(COMMANDS[name].words.join('-'), name === 'selfSigned' ? withoutChance(text) : text);
  });
}

test('an answer without rows, in every format', async () => {
  const lines = ['', ...FORMATTERS.map((formatter) => ` --formatter=${formatter}`)].map(
    (rest) => `mixer ledger list${rest}`,
  );
  assertGolden('empty-list', await session(lines, (service) => (service.feeds = [])));
});

test('status answers is it safe, how long, what to do', async () => {
  const closed = {
    state: 'closed',
    reason: 'credit-starved',
    sinceMs: NOW_MS - 12_000,
    degraded: false,
    override: null,
  } as const;
  const override = { mask: 4, untilMs: NOW_MS + 600_000, reason: 'HSM moved', by: 'uid 0, pid 7' };
  const kernel = sampleStatus().kernel;
  const write = sampleFeed({
    path: 'write',
    reseed: 'EPERM',
    creditedBits: { interrupts: 320, rdrand: 0, rdseed: 320, external: 0 },
  });
  const states: [string, Partial<ReturnType<typeof sampleStatus>>][] = [
    [
      'closed',
      {
        gate: { ...closed, whatToDo: 'Wait: interrupts need 2 min for a block.' },
        kernel: { ...kernel, waitingSinceMs: NOW_MS - 95_000 },
      },
    ],
    [
      'degraded',
      {
        gate: {
          ...sampleStatus().gate,
          sinceMs: NOW_MS,
          degraded: true,
          whatToDo: 'See RDSEED below.',
        },
        mask: { configured: 7, running: 7, honoured: 3 },
        sources: [sampleSource({ state: 'failed', reason: 'RCT at sample 77' })],
      },
    ],
    [
      'not fed yet',
      {
        kernel: { ...kernel, path: null, lastFeed: null, feedsSinceStart: 0 },
        mask: { configured: 0, running: 0, honoured: 0 },
      },
    ],
    ['overridden', { gate: { ...sampleStatus().gate, state: 'overridden', degraded: true, override } }],
    ['overridden in vain', { gate: { ...closed, whatToDo: 'Wait: start-up tests are running.', override } }],
    ['external', { mask: { configured: 12, running: 12, honoured: 12 }, external: sampleExternal() }],
    [
      'external exhausted',
      {
        mask: { configured: 8, running: 8, honoured: 0 },
        external: sampleExternal({
          link: 'lost',
          feedersConnected: 0,
          level: 'exhausted',
          memoryBytes: 0,
          storedBytes: 0,
          creditedBits: 0,
          runwaySeconds: null,
          storageFailure: 'ENOSPC',
        }),
      },
    ],
    ['uncredited', { kernel: { ...kernel, lastFeed: write, lastFailure: 'EIO' } }],
    [
      'refused',
      {
        gate: { ...closed, reason: 'failed', whatToDo: 'See the state below.' },
        state: {
          directory: '/var/lib/entropy-mixer',
          encryptionMode: 'NONE',
          suspendedBoots: null,
          refused: 'state-damaged',
        },
        mixer: { ...sampleStatus().mixer, selfTest: { passed: false, failedTest: 'sha512', atMs: NOW_MS } },
      },
    ],
  ];
  let text = '';
  for (const [name, change] of states) {
    text += `# ${name}\n${await session(['mixer status'], (service) => (service.report = sampleStatus(change)))}`;
  }
  assertGolden('status-states', text);
});

test('the first lines of an open gate are exactly these', async () => {
  const text = await session(['mixer status']);
  const first = [
    '   Gate: OPEN',
    '   Kernel: fed 64 B 4 s ago from RDSEED, credit asked 0, reseeded; 512 feeds since start',
    '   Mask: configured 0, running 4 (RDSEED), honoured 4',
  ];
  assert.equal(text.split('\n').slice(1, 4), first);
});

test('help of the program, of each namespace and of each command', async () => {
  const paths = [
    '',
    ...Object.keys(NAMESPACES),
    ...COMMAND_NAMES.map((name) => COMMANDS[name].words.join(' ')),
  ];
  let text = '';
  for (const path of paths) {
    const line = `${path} --help`.trim();
    text += transcript(line, await runCommand(wordsOf(line)));
  }
  assertGolden('help', text);
});

test('help is the same by its short name, and before the command', async () => {
  const { stdout, exit } = await runCommand(['mixer', 'status', '--help']);
  assert.is(exit, 0);
  assert.equal(await runCommand(['mixer', 'status', '-?']), { exit: 0, stdout, stderr: '' });
});

test('errors of the command line', async () => {
  const lines = [
    '',
    'mixer',
    'graphics host refresh',
    'mixer staus',
    'mixer status now',
    'mixer status --formater=json',
    'mixer status --formatter=yaml',
    'mixer status --formatter',
    'mixer ledger list --limit 0',
    'mixer ledger list -l 4097',
    'mixer ledger list -l ten',
    'mixer ledger list -l 1 -l 2',
    'mixer source test',
    'mixer source test rdsed',
    'mixer source restore rdseed',
    'mixer source restore rdseed -r ""',
    'mixer source restore --reason fixed',
    'mixer events --follow --formatter=xml',
    'mixer gate override --mask 4 --for 10m',
    'mixer gate override --mask 16 --for 10m -r moved',
    'mixer gate override --mask 4 --for 9 -r moved',
    'mixer gate override --mask 4 --for 25h -r moved',
    'mixer gate override --mask 4 --for 1w -r moved',
    'mixer explain gate-close',
    'system settings kernel set -s entropySources',
    'system settings kernel set -s healthCheck -v 1',
    'system settings kernel set -s healthCheckEnabled -v FALSE',
    'system settings kernel set -s entropySources -v 16',
    'system settings kernel set -s disableHwrng -v maybe',
    'mixer feeder enroll Hsm -c drbg -b 1/32',
    'mixer feeder enroll ../hsm -c drbg -b 1/32',
    'mixer feeder enroll hsm -c hsm -b 1',
    'mixer feeder enroll hsm -c noise',
    'mixer feeder enroll hsm -c noise -b 9',
    'mixer feeder enroll hsm -c noise -b 1e-2',
    'mixer feeder enroll hsm -c noise -b 1/0',
    'mixer feeder enroll hsm -c noise -b 1 --max-rate 31',
    'mixer feeder disable',
    'mixer receipt show',
    'mixer token create t',
    'mixer token create T -s observe -o t',
    'mixer token create t -s observe,write -o t',
    'mixer token create t -s observe -e 59 -o t',
    'system account add -i new',
    'system account add -i new -p none',
    'system permission set -i new -r Root',
    'system entropyd set',
    'system entropyd set --memory-cache-size 63',
    'system entropyd set --memory-cache-size 65537',
    'system entropyd set --reset feed-bytes',
    'system entropyd set --reset all --memory-cache-size 64',
  ];
  let text = '';
  for (const line of lines) text += transcript(line, await runCommand(wordsOf(line)));
  assertGolden('errors', text);
});

test('version', async () => {
  assert.equal(await runCommand(['--version']), { exit: 0, stdout: 'entropyctl 0.1.0\n', stderr: '' });
});

test('called by the name esxcli, help and errors show that name', async () => {
  const called = { program: 'esxcli' } as const;
  const { stdout } = await runCommand(['system', 'entropyd', 'set', '--help'], called);
  assert.match(stdout, /^Usage: esxcli system entropyd set \[cmd options\]\n/);
  const { stderr } = await runCommand(['system', 'entropy'], called);
  assert.match(
    stderr,
    /^Error: Unknown command or namespace system entropy\. .*\n\nUsage: esxcli system \{cmd\}/,
  );
});

test('only settings that differ from their default, and one that is none of ours to set', async () => {
  const lines = ['system settings kernel list --delta', 'system settings kernel list -o healthCheckEnabled'];
  assertGolden('kernel-list-options', await session(lines));
});

test.run();
