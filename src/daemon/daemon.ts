import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { ControlSocket } from '../api/control-socket.ts';
import { SystemClock } from '../base/clock.ts';
import { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import { EventBus } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import { DirectoryLock } from '../durable/directory-lock.ts';
import { NodeFiles } from '../durable/node-files.ts';
import { type EngineChannel, EngineClient } from '../engine/engine-client.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { openHardware } from '../hardware/open-hardware.ts';
import { FeedLedger } from '../kernel/feed-ledger.ts';
import { feedParticipant, feedSettings } from '../service/apply-config.ts';
import { EntropyService } from '../service/entropy-service.ts';
import { OwnRandomness } from '../service/own-randomness.ts';
import { ConfigStore } from '../state/config-store.ts';
import { NoneWrapping } from '../state/root-key.ts';
import { StateArchive } from '../state/state-archive.ts';
import type { EngineStart, EngineThreadData } from './engine-thread-data.ts';
import { logEvents } from './logging.ts';
import type { DaemonOptions } from './options.ts';

/** Where the built parts of this installation stand. */
export interface Installation {
  readonly root: string;
  readonly version: string;
}

export interface DaemonDependencies {
  readonly installation: Installation;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly log: Log;
  /** The engine thread ended by itself: the process is to end. */
  readonly onFatal: (because: string) => void;
}

const EVENTS_KEPT = 1000;
const LEDGER_RECORDS = 4096;

/**
 * The composition root, and the daemon's life:
 *
 *   start
 *   ├─ native addon, engine thread begins loading
 *   ├─ state directory, its lock                      ✗ runtime-dir-unusable, state-in-use
 *   ├─ state archive, configuration, feed ledger      ✗ refused archive: goes on, gate held closed
 *   ├─ engine: module, self-test, sources, first feed ✗ module-*, self-test-failed
 *   ├─ control socket                                 ✗ socket-path-too-long, runtime-dir-unusable
 *   └─ READY, gate open or not
 *   stop (once, whoever asks)
 *   ├─ control socket drains
 *   ├─ engine: last feed ends, sources end, secrets wiped
 *   └─ ledger, archive and lock are let go
 */
export class Daemon {
  readonly #dependencies: DaemonDependencies;
  /** What was opened, to be closed in reverse order. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  #stopping: Promise<boolean> | undefined;

  private constructor(dependencies: DaemonDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws EntropyError with the code of the step that failed; what was opened before is closed again */
  static async start(options: DaemonOptions, dependencies: DaemonDependencies): Promise<Daemon> {
    const daemon = new Daemon(dependencies);
    try {
      await daemon.#start(options);
      return daemon;
    } catch (error) {
      await daemon.#closeAll();
      throw error;
    }
  }

  /** Ends in order; a second call waits for the first. False when a part did not close, as the log tells. */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#closeAll();
    return this.#stopping;
  }

  async #start(options: DaemonOptions): Promise<void> {
    const { installation, environment, uid, log } = this.#dependencies;
    const clock = new SystemClock();
    const counters = new Counters();
    const bus = new EventBus({ capacity: EVENTS_KEPT }, { clock, counters });
    logEvents(bus, log);
    bus.emit('daemon.start', {
      version: installation.version,
      pid: process.pid,
      state: options.stateDirectory,
    });
    const hardware = this.#openHardware(bus, environment);
    const worker = this.#startThread(options);
    // Listens from the first moment: a thread that fails while the state is being opened must not do so unheard.
    const engine = new EngineClient({
      channel: worker,
      clock,
      events: bus,
      log,
      counters,
      // Feeds come after the start message only, when there is a service.
      onFed: (feed) => void service.recordFeed(feed),
      onLost: (because) => {
        bus.emit('engine.failed', { because });
        this.#dependencies.onFatal(because);
      },
    });
    const random = new OwnRandomness({
      kernel: (target) => hardware.random(target),
      generate: (bytes) => engine.call('generate', bytes),
    });
    this.#closers.push(() => random.close());
    const state = await this.#openState(options, hardware, random.fill, bus);
    const service = new EntropyService(
      { version: installation.version, state: state.report },
      { ...state, engine, bus, counters, clock },
    );
    const notTaken = (error: unknown): void =>
      log.error('the engine did not take the new feed settings; they are in force at the next start', {
        because: messageOf(error),
      });
    state.config.register(
      feedParticipant((settings) => void engine.call('configureFeed', settings).catch(notTaken)),
    );
    bus.subscribe(({ id }) => {
      if (id === 'gate.open') void random.refresh();
    });
    worker.postMessage(startMessage(state.config, state.report.refused));
    await engine.started();
    this.#closers.push(() => engine.stop());

    const socket = await ControlSocket.open(
      {
        runtimeDirectory: options.runtimeDirectory,
        openApiFile: path.join(installation.root, 'out', 'openapi.json'),
      },
      {
        service,
        uid,
        clock,
        counters,
        log,
        peerCredentials: hardware.addon ? (fd) => hardware.peerCredentials(fd) : undefined,
      },
    );
    this.#closers.push(() => socket.close());
    this.#closers.push(() => {
      bus.emit('daemon.stop');
      hardware.notify('STOPPING=1');
    });
    bus.emit('daemon.ready', { socket: socket.path });
    hardware.notify('READY=1');
  }

  #openHardware(bus: EventBus, environment: DaemonDependencies['environment']): Hardware {
    const notifySocket = environment.NOTIFY_SOCKET;
    const hardware = openHardware({
      addonPath: this.#built('native', 'addon.node'),
      ...(notifySocket !== undefined && { notifySocket }),
    });
    if (hardware.addon) hardware.forbidDump();
    else bus.emit('daemon.without-addon', { because: hardware.absence });
    return hardware;
  }

  #startThread(options: DaemonOptions): Worker & EngineChannel {
    const writer = this.#built('native', 'kernel-writer');
    const data: EngineThreadData = {
      moduleDirectory: this.#built(),
      addonPath: this.#built('native', 'addon.node'),
      kernelWriterPath: isExecutable(writer) ? writer : undefined,
      mixerBuild: options.mixerBuild,
    };
    const entry = path.join(this.#dependencies.installation.root, 'out', 'engine-thread.js');
    const worker = new Worker(entry, { workerData: data });
    this.#closers.push(async () => {
      await worker.terminate();
    });
    return worker;
  }

  async #openState(options: DaemonOptions, hardware: Hardware, random: RandomSource, bus: EventBus) {
    const directory = options.stateDirectory;
    const files = await NodeFiles.open({ root: directory });
    const lock = await DirectoryLock.take({ directory }, { lockFile: (fd) => hardware.lockFile(fd) });
    this.#closers.push(() => lock.release());
    const archive = await StateArchive.open(
      { mode: 'NONE' },
      { files, random, wrappings: [new NoneWrapping({ random })] },
    );
    this.#closers.push(() => archive.close());
    const config = ConfigStore.open({ flags: options.flags, file: {} }, { archive });
    if (config.refused !== undefined) {
      bus.emit('state.refused', { code: config.refused.code, because: config.refused.message });
    }
    const ledger = await FeedLedger.open({ capacity: LEDGER_RECORDS }, { files, random });
    this.#closers.push(() => ledger.close());
    if (ledger.setAside !== undefined) bus.emit('ledger.damaged', { because: ledger.setAside.message });
    if (ledger.cutBytes > 0) bus.emit('ledger.cut', { bytes: ledger.cutBytes });
    const report = { directory, encryptionMode: 'NONE' as const, refused: config.refused?.code ?? '' };
    return { config, ledger, report };
  }

  #built(...names: string[]): string {
    return path.join(this.#dependencies.installation.root, 'build', ...names);
  }

  async #closeAll(): Promise<boolean> {
    let clean = true;
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        clean = false;
        this.#dependencies.log.error('a part did not close', { because: messageOf(error) });
      }
    }
    return clean;
  }
}

function startMessage(config: ConfigStore, refused: string): EngineStart {
  return {
    configuredMask: config.values.entropySources,
    disableHwrng: config.values.disableHwrng,
    feed: feedSettings(config.values),
    heldBecause: refused,
  };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
