import { randomFillSync } from 'node:crypto';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SystemClock, delay } from '../../src/base/clock.ts';
import { Tpm } from '../../src/tpm/tpm.ts';
import { hasProgram } from '../requirements.ts';

/** Debian's swtpm, and tpm2-tools with the library that lets them talk to it. */
export const hasSwtpm = hasProgram('swtpm');
export const hasTpm2Tools = hasSwtpm && hasProgram('tpm2_unseal');

const START_PATIENCE_MS = 10_000;
const clock = new SystemClock();

/** A software TPM: the real program, with its state and sockets in a directory of its own. Never a device of this host. */
export class SoftwareTpm {
  readonly directory: string;
  readonly #family: '1.2' | '2.0';
  #process: ChildProcess | undefined;

  private constructor(directory: string, family: '1.2' | '2.0') {
    this.directory = directory;
    this.#family = family;
  }

  static async start({ family = '2.0' }: { readonly family?: '1.2' | '2.0' } = {}): Promise<SoftwareTpm> {
    const one = new SoftwareTpm(mkdtempSync(path.join(tmpdir(), 'swtpm-')), family);
    await one.powerOn();
    return one;
  }

  /** What --tpm takes. */
  get path(): string {
    return `swtpm:${this.socket}`;
  }

  get socket(): string {
    return path.join(this.directory, 'tpm');
  }

  async powerOn(): Promise<void> {
    const state = path.join(this.directory, 'state');
    mkdirSync(state, { recursive: true });
    const family = this.#family === '2.0' ? ['--tpm2'] : [];
    this.#process = spawn(
      'swtpm',
      [
        'socket',
        ...family,
        ...['--tpmstate', `dir=${state}`],
        ...['--server', `type=unixio,path=${this.socket}`],
        ...['--ctrl', `type=unixio,path=${this.socket}.ctrl`],
        ...['--flags', 'not-need-init,startup-clear'],
      ],
      { stdio: 'ignore' },
    );
    const endAtMs = clock.monotonicMs() + START_PATIENCE_MS;
    while (!(await accepts(this.socket))) {
      if (clock.monotonicMs() > endAtMs) throw new Error('swtpm did not start');
      await delay(clock, 5);
    }
  }

  async powerOff(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
    rmSync(this.socket, { force: true });
    rmSync(`${this.socket}.ctrl`, { force: true });
  }

  /** PCRs start from zero, as at each boot of a host. */
  async reboot(): Promise<void> {
    await this.powerOff();
    await this.powerOn();
  }

  /** Another TPM in its place: other seeds, empty memory. */
  async replace(): Promise<void> {
    await this.powerOff();
    rmSync(path.join(this.directory, 'state'), { recursive: true });
    await this.powerOn();
  }

  /** Runs one of tpm2-tools against it; the output, or an error with what it said. */
  tool(name: string, ...args: readonly string[]): Buffer {
    const TPM2TOOLS_TCTI = `swtpm:path=${this.socket}`;
    const { status, stdout, stderr, error } = spawnSync(name, args, {
      cwd: this.directory,
      env: { ...process.env, TPM2TOOLS_TCTI },
    });
    if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${error?.message ?? stderr.toString()}`);
    return stdout;
  }

  /** Our own client, connected. */
  open(): Promise<Tpm> {
    return Tpm.open(this.path, { clock, random: (target) => randomFillSync(target) });
  }

  /** Lends our own client, connected. */
  async use<T>(work: (tpm: Tpm) => Promise<T>): Promise<T> {
    const tpm = await this.open();
    try {
      return await work(tpm);
    } finally {
      await tpm.close();
    }
  }

  async remove(): Promise<void> {
    await this.powerOff();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Lends a software TPM that is on and new, and removes it. */
export async function withSoftwareTpm(work: (software: SoftwareTpm) => Promise<void>): Promise<void> {
  const software = await SoftwareTpm.start();
  try {
    await work(software);
  } finally {
    await software.remove();
  }
}

/** A socket's name is there a moment before it accepts. */
function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    const end = (answer: boolean): void => {
      probe.destroy();
      resolve(answer);
    };
    probe.once('connect', () => end(true));
    probe.once('error', () => end(false));
  });
}
