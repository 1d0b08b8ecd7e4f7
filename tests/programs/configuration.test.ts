import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DaemonProcess, ROOT, withDaemon } from './daemon-process.ts';

/** The control plane with the programs as they are shipped. */

const BY_DEFAULT = `\
External Entropy Lost Timeout Seconds: 60
Memory Cache Low Watermark Percentage: 20
Memory Cache Size Kibibytes: 512
Storage Cache Size Kibibytes: 4096
`;

/** The example of VMware's documentation for `esxcli system entropyd`: its lines, and what they print. */
const EXAMPLE = [
  [
    'system entropyd set --external-entropy-lost-timeout=70 --memory-cache-low-watermark=30 --memory-cache-size=612 --storage-cache-size=5096',
    '',
  ],
  [
    'system entropyd get',
    `\
External Entropy Lost Timeout Seconds: 70
Memory Cache Low Watermark Percentage: 30
Memory Cache Size Kibibytes: 612
Storage Cache Size Kibibytes: 5096
`,
  ],
  ['system entropyd get --default-values', BY_DEFAULT],
] as const;

/** Runs bin/esxcli, which has no daemon of its own. */
function esxcli(daemon: DaemonProcess, line: string) {
  const program = path.join(ROOT, 'bin', 'esxcli');
  const args = [program, `--runtime-dir=${daemon.runtimeDirectory}`, ...line.split(' ')];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const RESETS = [
  ['external-entropy-lost-timeout', 'External Entropy Lost Timeout Seconds: 60'],
  ['memory-cache-low-watermark', 'Memory Cache Low Watermark Percentage: 20'],
  ['memory-cache-size', 'Memory Cache Size Kibibytes: 512'],
  ['storage-cache-size', 'Storage Cache Size Kibibytes: 4096'],
] as const;

test('the example session, byte for byte, and still so after kill -9; then each reset, and all of them', async () => {
  const daemon = new DaemonProcess();
  try {
    await daemon.ready();
    for (const [line, stdout] of EXAMPLE)
      assert.equal(esxcli(daemon, line), { status: 0, stdout, stderr: '' }, line);
    await daemon.stop('SIGKILL');

    const next = new DaemonProcess({ directory: daemon.directory });
    try {
      await next.ready();
      let expected: string = EXAMPLE[1][1];
      assert.is(esxcli(next, EXAMPLE[1][0]).stdout, expected);
      for (const [name, line] of RESETS) {
        assert.equal(esxcli(next, `system entropyd set --reset=${name}`), {
          status: 0,
          stdout: '',
          stderr: '',
        });
        expected = expected.replace(new RegExp(`^${line.split(':')[0]}: .*$`, 'm'), line);
        assert.is(esxcli(next, 'system entropyd get').stdout, expected, name);
      }
      assert.is(expected, BY_DEFAULT);
      esxcli(next, EXAMPLE[0][0]);
      esxcli(next, 'system entropyd set --reset=all');
      assert.is(esxcli(next, 'system entropyd get').stdout, BY_DEFAULT);
    } finally {
      await next.stop();
    }
  } finally {
    await daemon.discard();
  }
});

test('a kernel setting is configured at once and runs from the next start on', async () => {
  const list = [
    'system',
    'settings',
    'kernel',
    'list',
    '-o',
    'entropySources',
    '--debug',
    '--formatter=json',
  ];
  const told = (daemon: DaemonProcess) => {
    const [{ Configured, Runtime, Default }] = JSON.parse(daemon.control(...list).stdout) as [
      Record<string, string>,
    ];
    return [Configured, Runtime, Default];
  };
  const daemon = new DaemonProcess();
  try {
    await daemon.ready();
    const set = daemon.control('system', 'settings', 'kernel', 'set', '-s', 'entropySources', '-v', '1');
    assert.equal(set, { code: 0, stdout: '', stderr: '' });
    assert.equal(told(daemon), ['1', '0', '0']);
    await daemon.stop();
    const next = new DaemonProcess({ directory: daemon.directory });
    try {
      await next.ready();
      assert.equal(told(next), ['1', '1', '0']);
    } finally {
      await next.stop();
    }
  } finally {
    await daemon.discard();
  }
});

test('a configuration file sets what no flag does, and config list tells which', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'conf-'));
  const file = path.join(directory, 'entropyd.conf');
  writeFileSync(file, '# a test\nlisten = 127.0.0.1:0\nstate-dir = /none/state\n', { mode: 0o644 });
  await withDaemon({ arguments: ['--config', file, '--feed-interval=7'] }, (daemon) => {
    const { stdout } = daemon.control('mixer', 'config', 'list', '--formatter=json');
    const rows = JSON.parse(stdout) as { Name: string; Value: string; Origin: string; Default: string }[];
    const origins = rows.map(({ Name, Value, Origin }) => `${Name} ${Value} ${Origin}`);
    assert.ok(origins.includes(`state-dir ${daemon.stateDirectory} flag`), stdout);
    assert.ok(origins.includes('feedIntervalSeconds 7 flag'));
    assert.ok(origins.includes('feedBytes 64 default'));
  });
  writeFileSync(file, 'listen = 127.0.0.1:0\nentropy-sources = 12\n');
  const { stderr, status } = spawnSync(
    process.execPath,
    [path.join(ROOT, 'out', 'entropyd.js'), '--config', file],
    {
      encoding: 'utf8',
    },
  );
  assert.is(status, 2);
  assert.match(stderr, 'config-file-invalid');
  assert.match(stderr, 'line 2: entropy-sources does not belong here');
  rmSync(directory, { recursive: true });
});

test('a damaged store is refused by every command that would read or replace it, and stays as it is', async () => {
  const daemon = new DaemonProcess();
  try {
    await daemon.ready();
    daemon.control('system', 'entropyd', 'set', '--memory-cache-size=612');
    await daemon.stop();
    const archive = path.join(daemon.stateDirectory, 'bootbank', 'state.tgz');
    const damaged = readFileSync(archive);
    damaged[damaged.length >> 1]! ^= 1;
    writeFileSync(archive, damaged);
    const next = new DaemonProcess({ directory: daemon.directory });
    try {
      await next.says('state.refused');
      await next.says('daemon.ready');
      for (const line of ['system entropyd set --reset=all', 'mixer config export']) {
        const { code, stdout, stderr } = next.control(...line.split(' '));
        assert.equal([code, stdout], [8, ''], line);
        assert.match(stderr, '(state-damaged)');
      }
    } finally {
      await next.stop();
    }
    assert.ok(readFileSync(archive).equals(damaged));
  } finally {
    await daemon.discard();
  }
});

test('no daemon: one sentence with the socket that was tried', () => {
  const control = (...args: string[]) =>
    spawnSync(process.execPath, [path.join(ROOT, 'bin', 'entropyctl'), ...args], { encoding: 'utf8' });
  const absent = control('--runtime-dir', '/none/run', 'system', 'entropyd', 'get');
  assert.is(absent.status, 5);
  assert.match(absent.stderr, /^Error: No daemon answers on \/none\/run\/control\.sock \(ENOENT\)[^\n]*\n$/);
});

test.run();
