import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { logOf } from '../hardware/event-log.ts';
import { withSoftwareTpm, type SoftwareTpm } from '../tpm/software-tpm.ts';
import { DaemonProcess, ROOT, type DaemonProcessOptions } from './daemon-process.ts';

/** A host with a software TPM, firmware variables of its own, and the real programs. */
export class Host {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'tpm-host-'));
  readonly software: SoftwareTpm;

  constructor(software: SoftwareTpm) {
    this.software = software;
    this.secureBoot(false);
  }

  secureBoot(on: boolean): void {
    const name = 'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
    writeFileSync(path.join(this.directory, name), Buffer.from([6, 0, 0, 0, on ? 1 : 0]));
  }

  /** db as the firmware has it now; the first time also as it measured it. */
  secureBootKeys(db: string): void {
    const lists = { db: Buffer.from(db), dbx: Buffer.from('dbx') };
    const log = path.join(this.directory, 'binary_bios_measurements');
    if (!existsSync(log)) writeFileSync(log, logOf(lists));
    for (const [name, value] of Object.entries(lists)) {
      const file = path.join(this.directory, `${name}-d719b2cb-3d3a-4596-a3bc-dad00e67656f`);
      writeFileSync(file, Buffer.concat([Buffer.from([39, 0, 0, 0]), value]));
    }
  }

  options(mode: 'none' | 'tpm' | 'auto', more: DaemonProcessOptions = {}): DaemonProcessOptions {
    const tpm = [`--tpm=${this.software.path}`, `--efi-variables=${this.directory}`];
    return {
      directory: path.join(this.directory, 'daemon'),
      ...more,
      arguments: [`--encryption-mode=${mode}`, ...tpm, ...(more.arguments ?? [])],
    };
  }

  /** As the daemon shows it: the digits. */
  recoveryKey(daemon: DaemonProcess): string {
    const { stdout } = daemon.control('system', 'settings', 'encryption', 'recovery', 'list');
    const [key] = /[0-9]{6}(-[0-9]{6}){15}/.exec(stdout) ?? [];
    if (key === undefined) throw new Error(`no recovery key in ${stdout}`);
    return key;
  }

  /** entropyd recover, with the key on descriptor 0. */
  recover(key: string): { readonly code: number | null; readonly stderr: string } {
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        path.join(ROOT, 'out', 'entropyd.js'),
        'recover',
        '--recovery-key-fd=0',
        `--state-dir=${path.join(this.directory, 'daemon', 'state')}`,
        `--tpm=${this.software.path}`,
        `--efi-variables=${this.directory}`,
      ],
      { input: key, encoding: 'utf8' },
    );
    return { code: status, stderr };
  }

  /** Starts it, looks, and stops it in order, with its directories kept. */
  async run(
    options: DaemonProcessOptions,
    look: (daemon: DaemonProcess) => void | Promise<void>,
  ): Promise<void> {
    const daemon = new DaemonProcess(options);
    try {
      await daemon.ready();
      await look(daemon);
    } finally {
      await daemon.stop();
    }
  }
}

export async function withHost(work: (host: Host) => Promise<void>): Promise<void> {
  await withSoftwareTpm(async (software) => {
    const host = new Host(software);
    try {
      await work(host);
    } finally {
      rmSync(host.directory, { recursive: true, force: true });
    }
  });
}
