/**
 * The engine thread: its composition root. It builds sources, mixer and kernel sink from the paths it is given, waits for the
 * configuration, and then serves the engine on its port until it is told to stop.
 *
 *   thread begins ─► addon, module checked and self-tested ─► start message ─► engine runs ─► stop ─► port closed, thread ends
 *                        └ start-failed with the error's code
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { secretBytes } from '../base/bytes.ts';
import { type Clock, SystemClock } from '../base/clock.ts';
import { Counters } from '../base/counters.ts';
import type { EventSink } from '../base/events.ts';
import type { Log, LogFields } from '../base/log.ts';
import { Engine } from '../engine/engine.ts';
import type { EngineMessage } from '../engine/engine-messages.ts';
import { type EnginePort, refusal, serveEngine } from '../engine/engine-port.ts';
import { TurnBatch } from '../engine/turn-batch.ts';
import { cpuRandomVerdict } from '../hardware/cpu-deny-list.ts';
import { INTERRUPT_COLLECTOR_DEFAULTS, type Hardware } from '../hardware/hardware.ts';
import { readInterruptCount } from '../hardware/interrupt-count.ts';
import { KernelWriterClient } from '../hardware/kernel-writer-client.ts';
import { openHardware } from '../hardware/open-hardware.ts';
import { LinuxKernelSink } from '../kernel/kernel-sink.ts';
import { Mixer } from '../mixer/mixer.ts';
import type { Reservoir } from '../cache/reservoir.ts';
import { isInMask, resolveMask } from '../policy/source-mask.ts';
import { OwnRandomness } from '../service/own-randomness.ts';
import { CpuSource } from '../sources/cpu-source.ts';
import { ExternalSource } from '../sources/external.ts';
import { InterruptSource } from '../sources/interrupts.ts';
import type { NoiseSource } from '../sources/noise-source.ts';
import { SampleTap } from '../sources/sample-tap.ts';
import type { EngineStart, EngineThreadData } from './engine-thread-data.ts';
import { openExternalCaches } from './external-caches.ts';

/** Samples the interrupt source holds ready for the next block; then its thread rests. */
const INTERRUPT_READY_SAMPLES = 256;

/** What the instructions give at least on known CPUs, in bytes per second; measured once they are read. */
const EXPECTED_RDRAND_PACE = 50e6;
const EXPECTED_RDSEED_PACE = 1e6;

/** Told for the external source when it is in the mask and has no caches. */
const NO_CACHES = 'the state was refused, and with it the key of the caches';

main();

function main(): void {
  if (parentPort === null) throw new Error('the engine thread runs as a worker thread');
  const port = parentPort;
  const data = workerData as EngineThreadData;
  const enginePort = portOf(port);
  try {
    const hardware = openHardware({ addonPath: data.addonPath });
    const mixer = Mixer.load({
      directory: data.moduleDirectory,
      ...(data.mixerBuild && { build: data.mixerBuild }),
    });
    const locked = mixer.lockMemory((memory) => hardware.lockMemory(memory));
    if (hardware.addon && !locked) {
      portLog(enginePort).warn(
        'the mixer could not be locked into RAM and may be swapped out: raise RLIMIT_MEMLOCK',
      );
    }
    port.once('message', (start: EngineStart) => {
      void run(data, start, { hardware, mixer, port: enginePort });
    });
  } catch (error) {
    startFailed(enginePort, error);
  }
}

async function run(data: EngineThreadData, start: EngineStart, parts: Parts): Promise<void> {
  try {
    const { engine, reservoir, runningMask, random } = await buildEngine(data, start, parts);
    serveEngine(engine, parts.port, () => random.close());
    engine.start();
    parts.port.post({ kind: 'started', runningMask });
    await reservoir?.start();
  } catch (error) {
    startFailed(parts.port, error);
  }
}

/** Messages of one turn of the loop leave as one. */
function portOf(port: MessagePort): EnginePort {
  const messages = new TurnBatch<EngineMessage>({
    clock: new SystemClock(),
    post: (gathered, transfer) => port.postMessage(gathered, [...transfer]),
  });
  return {
    post: (message, transfer = []) => messages.add({ message, transfer }),
    onRequests: (listener) => void port.on('message', listener),
    close: () => {
      messages.flush();
      port.close();
    },
  };
}

function startFailed(port: EnginePort, error: unknown): void {
  port.post({ kind: 'start-failed', ...refusal(error) });
  port.close();
}

interface Parts {
  readonly hardware: Hardware;
  readonly mixer: Mixer;
  readonly port: EnginePort;
}

interface BuiltEngine {
  readonly engine: Engine;
  readonly reservoir: Reservoir | undefined;
  readonly runningMask: number;
  readonly random: OwnRandomness;
}

async function buildEngine(
  data: EngineThreadData,
  start: EngineStart,
  { hardware, mixer, port }: Parts,
): Promise<BuiltEngine> {
  const clock = new SystemClock();
  const counters = new Counters();
  const events: EventSink = {
    emit: (event, detail = {}) => port.post({ kind: 'event', event, detail }),
  };
  const { rdseed } = cpuRandomVerdict(hardware.cpu);
  const runningMask = resolveMask({
    configured: start.configuredMask,
    disableHwrng: start.disableHwrng,
    rdseedUsable: hardware.addon && rdseed.usable,
  });
  const random = new OwnRandomness({
    kernel: (target) => hardware.random(target),
    // Later, and not within the extraction that opened the gate.
    generate: (bytes) => Promise.resolve().then(() => generated(engine, bytes)),
  });
  const caches = isInMask(runningMask, 'external') ? start.caches : undefined;
  const lock = (memory: Uint8Array): boolean => hardware.lockMemory(memory);
  const reservoir =
    caches && (await openExternalCaches(caches, { random: random.fill, clock, events, counters, lock }));
  reservoir?.onRoom((roomBytes) => port.post({ kind: 'room', roomBytes }));
  const external = new ExternalSource(
    { unavailable: reservoir === undefined ? NO_CACHES : '' },
    { supply: reservoir, clock },
  );
  const engine: Engine = new Engine(
    { ...start, runningMask },
    {
      mixer,
      clock,
      counters,
      events: {
        emit: (event, detail) => {
          events.emit(event, detail);
          if (event === 'gate.open') void random.refresh();
        },
      },
      reservoir,
      tap: new SampleTap(),
      sources: [...localSources(hardware), external],
      sink: new LinuxKernelSink({ events, startWriter: writerStarter(data, clock, portLog(port)) }),
      random: (target) => hardware.random(target),
      onFed: (feed) => port.post({ kind: 'fed', feed }),
    },
  );
  return { engine, reservoir, runningMask, random };
}

function generated(engine: Engine, bytes: number): Uint8Array {
  const target = secretBytes(bytes);
  engine.generate(target);
  return target;
}

function localSources(hardware: Hardware): NoiseSource[] {
  const verdict = cpuRandomVerdict(hardware.cpu);
  const unavailable = (reason: string) => (hardware.addon ? reason : 'no native addon');
  return [
    new InterruptSource(
      { ...INTERRUPT_COLLECTOR_DEFAULTS, capacity: INTERRUPT_READY_SAMPLES },
      { collector: hardware.interrupts, interruptCount: () => readInterruptCount() },
    ),
    new CpuSource(
      {
        name: 'rdrand',
        unavailable: unavailable(verdict.rdrand.reason),
        expectedBytesPerSecond: EXPECTED_RDRAND_PACE,
      },
      { fill: (target) => hardware.rdrand(target) },
    ),
    new CpuSource(
      {
        name: 'rdseed',
        unavailable: unavailable(verdict.rdseed.reason),
        expectedBytesPerSecond: EXPECTED_RDSEED_PACE,
      },
      { fill: (target) => hardware.rdseed(target) },
    ),
  ];
}

function writerStarter(
  data: EngineThreadData,
  clock: Clock,
  log: Log,
): (() => KernelWriterClient) | undefined {
  const { kernelWriterPath } = data;
  if (kernelWriterPath === undefined) return undefined;
  return () => KernelWriterClient.start({ path: kernelWriterPath }, { clock, log });
}

/** Only the main thread has a log; lines from here travel to it. */
function portLog(port: EnginePort): Log {
  const at =
    (level: keyof Log) =>
    (message: string, fields: LogFields = {}) =>
      port.post({ kind: 'log', level, message, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
