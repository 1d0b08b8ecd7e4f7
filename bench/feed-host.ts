import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomFillSync } from 'node:crypto';
import type * as FeederPackage from '../src/feeder/index.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** As a user of the package has it. */
const { FeedClient, SystemClock, parseEnrolment } = (await import(
  path.join(ROOT, 'out', 'feeder.js')
)) as typeof FeederPackage;
export type FeedClient = FeederPackage.FeedClient;

/** A daemon of its own for feeds, under mask 8, that feeds the kernel once and then rests. */
export class FeedHost {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'bench-feed-'));
  readonly #child: ChildProcess;

  private constructor(args: readonly string[]) {
    const program = path.join(ROOT, 'out', 'entropyd.js');
    const common = [
      `--state-dir=${this.#directory}/state`,
      `--runtime-dir=${this.#directory}/run`,
      '--listen=127.0.0.1:0',
      '--entropy-sources=8',
      '--feed-interval=3600',
    ];
    this.#child = spawn(process.execPath, [program, ...common, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  static async start(args: readonly string[]): Promise<FeedHost> {
    const host = new FeedHost(args);
    await new Promise<void>((resolve, reject) => {
      let output = '';
      host.#child.once('exit', () => reject(new Error(`ended early: ${output}`)));
      host.#child.stdout?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes('daemon.ready')) resolve();
      });
    });
    return host;
  }

  get residentMebibytes(): number {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'));
    return Number(match?.[1]) / 1024;
  }

  /** Enrols a feeder of full-entropy bytes; gives its enrolment file. */
  enrol(name: string): Promise<Buffer> {
    const query = 'class=full-entropy&bitsPerByte=8&certificate=none%3A%20a%20bench';
    return this.#request('POST', `/v1/feeders/${name}?${query}`);
  }

  /** Enrols a feeder; gives a client for it, in this process, that is not connected yet. */
  async client(name: string): Promise<FeedClient> {
    return new FeedClient(parseEnrolment(await this.enrol(name)), {
      clock: new SystemClock(),
      random: (target) => randomFillSync(target),
    });
  }

  /** Ends a feeder: what it gave is overwritten, and the caches have room again. */
  async revoke(name: string): Promise<void> {
    await this.#request('DELETE', `/v1/feeders/${name}`);
  }

  async stop(): Promise<void> {
    this.#child.removeAllListeners('exit');
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await ended;
    rmSync(this.#directory, { recursive: true });
  }

  #request(method: string, url: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = {
        socketPath: path.join(this.#directory, 'run', 'control.sock'),
        method,
        path: url,
        headers: method === 'POST' ? { 'content-type': 'application/octet-stream' } : {},
      };
      const request = http.request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          if (response.statusCode === 200) resolve(Buffer.concat(chunks));
          else reject(new Error(Buffer.concat(chunks).toString()));
        });
      });
      request.on('error', reject);
      request.end();
    });
  }
}
