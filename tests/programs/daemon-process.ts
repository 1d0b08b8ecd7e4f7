import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StatusReport } from '../../src/contract/outputs.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** How long any one step of a real program may take before its test gives up. */
const PATIENCE_MS = 20_000;

export interface DaemonProcessOptions {
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Directory of an earlier daemon, to be started on its state. */
  readonly directory?: string;
  /** Another installation than this clone. */
  readonly root?: string;
  /** Program and arguments put in front, such as strace or setpriv. */
  readonly wrapper?: readonly string[];
}

/** The real entropyd in its own state and runtime directories, watched through its log and its control socket. */
export class DaemonProcess {
  readonly directory: string;
  readonly child: ChildProcess;
  output = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly #waiters = new Set<() => void>();

  constructor(options: DaemonProcessOptions = {}) {
    this.directory = options.directory ?? mkdtempSync(path.join(tmpdir(), 'entropyd-'));
    const program = path.join(options.root ?? ROOT, 'out', 'entropyd.js');
    const [command, ...args] = [
      ...(options.wrapper ?? []),
      process.execPath,
      program,
      `--state-dir=${this.stateDirectory}`,
      `--runtime-dir=${this.runtimeDirectory}`,
      // The last one given counts: a test may name its own.
      '--listen=127.0.0.1:0',
      ...(options.arguments ?? []),
    ];
    this.child = spawn(command!, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...options.environment },
    });
    const collect = (chunk: Buffer) => {
      this.output += chunk.toString();
      this.#wake();
    };
    this.child.stdout?.on('data', collect);
    this.child.stderr?.on('data', collect);
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        resolve({ code, signal });
        this.#wake();
      });
    });
  }

  get stateDirectory(): string {
    return path.join(this.directory, 'state');
  }

  get runtimeDirectory(): string {
    return path.join(this.directory, 'run');
  }

  /** Where feeders connect. */
  get feedUrl(): string {
    return `ws://${readFileSync(path.join(this.runtimeDirectory, 'address'), 'utf8').trim()}/v1/feed`;
  }

  /** Enrols a feeder through the control command; gives the path of its enrolment file. */
  enroll(name: string, feederClass: string, bitsPerByte: string, ...more: readonly string[]): string {
    const file = path.join(this.directory, `${name}.enrolment`);
    const args = ['--class', feederClass, '--bits-per-byte', bitsPerByte, '--key-file', file, ...more];
    const { code, stderr } = this.control('mixer', 'feeder', 'enroll', name, ...args);
    if (code !== 0) throw new Error(`enroll: exit ${String(code)}: ${stderr}`);
    return file;
  }

  /** Starts entropy-feed with an enrolment file; its output is collected in the result. */
  feed(keyFile: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    return new FeedProcess(['--key', keyFile, ...args], environment);
  }

  /** Resolves once the output holds the text; rejects when the process ends first, or patience does. */
  async says(text: string, times = 1): Promise<void> {
    await this.#until(() => this.output.split(text).length > times, `"${text}"`);
  }

  ready(): Promise<void> {
    return this.says('daemon.ready');
  }

  status(): Promise<StatusReport> {
    return this.request('GET', '/v1/status').then(({ body }) => body as StatusReport);
  }

  request(
    method: string,
    url: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          socketPath: path.join(this.runtimeDirectory, 'control.sock'),
          method,
          path: url,
          timeout: PATIENCE_MS,
          headers: payload === undefined ? {} : { 'content-type': 'application/json' },
        },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
        },
      );
      request.on('error', reject);
      request.end(payload);
    });
  }

  /** Runs entropyctl against this daemon. */
  control(...args: readonly string[]) {
    return this.controlAs([], ...args);
  }

  /** The same behind a wrapper, such as setpriv. */
  controlAs(wrapper: readonly string[], ...args: readonly string[]) {
    const program = path.join(ROOT, 'bin', 'entropyctl');
    const [command, ...rest] = [
      ...wrapper,
      process.execPath,
      program,
      '--runtime-dir',
      this.runtimeDirectory,
      ...args,
    ];
    const { status, stdout, stderr } = spawnSync(command!, rest, { encoding: 'utf8', timeout: PATIENCE_MS });
    return { code: status, stdout, stderr };
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM') {
    this.child.kill(signal);
    return this.ended;
  }

  /** Ends what still runs and removes the directories. */
  async discard(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const ended = this.ended.then(() => 'ended');
    const deadline = performance.now() + PATIENCE_MS;
    while (!condition()) {
      const changed = new Promise<string>((resolve) => {
        this.#waiters.add(() => resolve('changed'));
        setTimeout(() => resolve('late'), Math.max(0, deadline - performance.now())).unref();
      });
      const outcome = await Promise.race([changed, ended]);
      if (condition()) return;
      if (outcome !== 'changed') throw new Error(`${outcome} before ${what}; output so far:\n${this.output}`);
    }
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

/** The real entropy-feed. */
export class FeedProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>>) {
    const program = path.join(ROOT, 'bin', 'entropy-feed');
    this.child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...environment },
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** Ends it as a supervisor would, and gives how it ended. */
  stop(signal: NodeJS.Signals = 'SIGTERM') {
    this.child.kill(signal);
    return this.ended;
  }
}

/** A copy of what is installed, to damage or to leave parts out of. */
export function copyOfInstallation(without: readonly string[] = []): string {
  const root = mkdtempSync(path.join(tmpdir(), 'installation-'));
  for (const part of ['out', 'build', 'package.json'])
    cpSync(path.join(ROOT, part), path.join(root, part), { recursive: true });
  for (const part of without) rmSync(path.join(root, part), { recursive: true, force: true });
  return root;
}

/** Starts a daemon, waits until it is ready, lets the test use it, and cleans up whatever happens. */
export async function withDaemon(
  options: DaemonProcessOptions,
  use: (daemon: DaemonProcess) => void | Promise<void>,
): Promise<void> {
  const daemon = new DaemonProcess(options);
  try {
    await daemon.ready();
    await use(daemon);
  } finally {
    await daemon.discard();
  }
}
