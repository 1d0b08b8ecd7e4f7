/**
 * The rival of the feed: `ws` bare. One process answers 4 bytes to each frame, another keeps so many on their way; no encryption, no test, no
 * cache, no receipt. Both are bundles, as the programs are, so that they can be given the masking that the programs have.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export interface FrameRun {
  readonly frames: number;
  readonly frameBytes: number;
}

export interface BareLoad {
  /** One after the other, over one connection. */
  readonly runs: readonly FrameRun[];
  readonly inFlight: number;
}

const SERVER = `
import { WebSocketServer } from 'ws';
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
const answer = Buffer.alloc(4);
server.on('connection', (socket) => socket.on('message', () => socket.send(answer)));
server.on('listening', () => console.log('port ' + server.address().port));
`;

const CLIENT = `
import { randomFillSync } from 'node:crypto';
import WebSocket from 'ws';
const [port, text] = process.argv.slice(2);
const load = JSON.parse(text);
const socket = new WebSocket('ws://127.0.0.1:' + port, { perMessageDeflate: false });
await new Promise((resolve) => socket.once('open', resolve));
const rates = [];
for (const { frames, frameBytes } of load.runs) {
  const startMs = performance.now();
  await sendAll(frames, frameBytes);
  rates.push((frames * frameBytes) / (performance.now() - startMs) / 1e3);
}
console.log('rates ' + JSON.stringify(rates));
socket.terminate();

function sendAll(frames, frameBytes) {
  return new Promise((resolve) => {
    let answered = 0;
    let sent = 0;
    const payload = new Uint8Array(frameBytes);
    const send = () => {
      if (sent++ < frames) socket.send(randomFillSync(payload));
    };
    const answer = () => {
      if (++answered < frames) return send();
      socket.off('message', answer);
      resolve();
    };
    socket.on('message', answer);
    for (let n = 0; n < load.inFlight; n++) send();
  });
}
`;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const WORD_WISE = { bufferutil: './src/base/web-socket-masking.ts' };

export class BareWs {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'bench-bare-'));

  /** `wordWise`: it masks as the programs do; otherwise as `ws` does by itself. */
  static async build({ wordWise }: { readonly wordWise: boolean }): Promise<BareWs> {
    const bare = new BareWs();
    for (const [name, contents] of Object.entries({ server: SERVER, client: CLIENT })) {
      await build({
        absWorkingDir: ROOT,
        stdin: { contents, resolveDir: ROOT },
        outfile: bare.#file(name),
        bundle: true,
        platform: 'node',
        format: 'esm',
        external: wordWise ? ['utf-8-validate'] : ['utf-8-validate', 'bufferutil'],
        alias: wordWise ? WORD_WISE : {},
        banner: {
          js: "import { createRequire as bundledRequire } from 'node:module'; const require = bundledRequire(import.meta.url);",
        },
      });
    }
    return bare;
  }

  /** Megabytes a second of each run. */
  async rates(load: BareLoad): Promise<number[]> {
    const server = this.#start('server', []);
    try {
      const port = await said(server, /port (\d+)/);
      const rates = await said(this.#start('client', [port, JSON.stringify(load)]), /rates (.*)/);
      return JSON.parse(rates) as number[];
    } finally {
      server.kill();
    }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }

  #start(name: string, args: readonly string[]): ChildProcess {
    return spawn(process.execPath, [this.#file(name), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  #file(name: string): string {
    return path.join(this.#directory, `${name}.mjs`);
  }
}

function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const found = pattern.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`it ended and said: ${output}`)));
  });
}
