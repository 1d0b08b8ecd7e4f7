/** A feeder in a process of its own, as feeders are: it has the package alone, and nothing of the bench in its heap. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FrameRun } from './bare-ws.ts';

const PACKAGE = fileURLToPath(new URL('../out/feeder.js', import.meta.url));

const PROGRAM = `
import { randomFillSync } from 'node:crypto';
import { FeedClient, SystemClock, parseEnrolment } from ${JSON.stringify(PACKAGE)};

process.on('message', async ({ enrolment, inFlight, runs }) => {
  const random = (target) => randomFillSync(target);
  const client = new FeedClient(parseEnrolment(Buffer.from(enrolment)), { clock: new SystemClock(), random });
  await client.connect();
  const results = [];
  for (const run of runs) results.push(await sendAll(client, run, inFlight));
  await client.close();
  process.send(results);
});

async function sendAll(client, { frames, frameBytes }, inFlight) {
  const startMs = performance.now();
  let left = frames;
  let unstoredFrames = 0;
  const lane = async () => {
    const payload = new Uint8Array(frameBytes);
    while (left-- > 0) if ((await client.send(randomFillSync(payload))).storedBytes === 0) unstoredFrames++;
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { seconds: (performance.now() - startMs) / 1000, unstoredFrames };
}
`;

export interface RunResult {
  /** From the first frame to the last receipt. */
  readonly seconds: number;
  /** Frames of which nothing went to the storage cache. */
  readonly unstoredFrames: number;
}

export class FeederProcess {
  readonly #child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });

  /** Connects with an enrolment file, sends the runs one after the other with so many frames on their way, and closes. */
  feed(enrolment: Buffer, runs: readonly FrameRun[], inFlight: number): Promise<RunResult[]> {
    return new Promise((resolve, reject) => {
      this.#child.removeAllListeners();
      this.#child.once('message', (results) => resolve(results as RunResult[]));
      this.#child.once('exit', () => reject(new Error('the feeder ended early')));
      this.#child.send({ enrolment: enrolment.toString(), inFlight, runs });
    });
  }

  stop(): void {
    this.#child.removeAllListeners();
    this.#child.kill();
  }
}
