/**
 * The engine thread: its composition root. It builds sources, mixer and kernel sink from the paths it is given, waits for the
 * configuration, and then serves the engine on its port until it is told to stop.
 *
 *   thread begins ─► addon, module checked and self-tested ─► start message ─► engine runs ─► stop ─► port closed, thread ends
 *                        └ start-failed with the error's code
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type Clock, SystemClock } from '../base/clock.ts';
import { Counters } from '../base/counters.ts';
import type { EventSink } from '../base/events.ts';
import type { Log, LogFields } from '../base/log.ts';
import { Engine } from '../engine/engine.ts';
import { type EnginePort, refusal, serveEngine } from '../engine/engine-port.ts';
import { cpuRandomVerdict } from '../hardware/cpu-deny-list.ts';
import { INTERRUPT_COLLECTOR_DEFAULTS, type Hardware } from '../hardware/hardware.ts';
import { readInterruptCount } from '../hardware/interrupt-count.ts';
import { KernelWriterClient } from '../hardware/kernel-writer-client.ts';
import { openHardware } from '../hardware/open-hardware.ts';
import { LinuxKernelSink } from '../kernel/kernel-sink.ts';
import { Mixer } from '../mixer/mixer.ts';
import { resolveMask } from '../policy/source-mask.ts';
import { CpuSource } from '../sources/cpu-source.ts';
import { ExternalSource } from '../sources/external.ts';
import { InterruptSource } from '../sources/interrupts.ts';
import type { NoiseSource } from '../sources/noise-source.ts';
import { SampleTap } from '../sources/sample-tap.ts';
import type { EngineStart, EngineThreadData } from './engine-thread-data.ts';

/** Samples the interrupt source holds ready for the next block; then its thread rests. */
const INTERRUPT_READY_SAMPLES = 256;

/** What the instructions give at least on known CPUs, in bytes per second; measured once they are read. */
const EXPECTED_RDRAND_PACE = 50e6;
const EXPECTED_RDSEED_PACE = 1e6;

main();

function main(): void {
  if (parentPort === null) throw new Error('the engine thread runs as a worker thread');
  const port = parentPort;
  const data = workerData as EngineThreadData;
  const enginePort: EnginePort = {
    postMessage: (message, transfer) =>
      port.postMessage(message, transfer === undefined ? [] : [...transfer]),
    on: (event, listener) => port.on(event, listener),
    close: () => port.close(),
  };
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
      const engine = buildEngine(data, start, { hardware, mixer, port: enginePort });
      serveEngine(engine, enginePort);
      engine.start();
      enginePort.postMessage({ kind: 'started' });
    });
  } catch (error) {
    enginePort.postMessage({ kind: 'start-failed', ...refusal(error) });
    port.close();
  }
}

interface Parts {
  readonly hardware: Hardware;
  readonly mixer: Mixer;
  readonly port: EnginePort;
}

function buildEngine(data: EngineThreadData, start: EngineStart, { hardware, mixer, port }: Parts): Engine {
  const clock = new SystemClock();
  const counters = new Counters();
  const events: EventSink = {
    emit: (event, detail = {}) => port.postMessage({ kind: 'event', event, detail }),
  };
  const { rdseed } = cpuRandomVerdict(hardware.cpu);
  const runningMask = resolveMask({
    configured: start.configuredMask,
    disableHwrng: start.disableHwrng,
    rdseedUsable: hardware.addon && rdseed.usable,
  });
  return new Engine(
    { ...start, runningMask },
    {
      mixer,
      clock,
      counters,
      events,
      tap: new SampleTap(),
      sources: localSources(hardware),
      sink: new LinuxKernelSink({ events, startWriter: writerStarter(data, clock, portLog(port)) }),
      random: (target) => hardware.random(target),
      onFed: (feed) => port.postMessage({ kind: 'fed', feed }),
    },
  );
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
    new ExternalSource(),
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
      port.postMessage({ kind: 'log', level, message, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
