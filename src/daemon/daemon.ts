import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { prepareSocketPlace } from '../api/socket-place.ts';
import { SystemClock } from '../base/clock.ts';
import { Counters } from '../base/counters.ts';
import { messageOf } from '../base/errors.ts';
import { EventBus } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import { SOURCE_BITS } from '../base/names.ts';
import { type EngineChannel, EngineClient } from '../engine/engine-client.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { openHardware } from '../hardware/open-hardware.ts';
import { FeedRecorder } from '../service/feed-recorder.ts';
import { ArchiveBackup } from '../service/archive-backup.ts';
import { RecoveryDesk } from '../service/recovery-desk.ts';
import { OwnRandomness } from '../service/own-randomness.ts';
import { sweep } from '../state/zeroize.ts';
import { engineStart, movedWith } from './engine-start.ts';
import type { EngineThreadData } from './engine-thread-data.ts';
import { ExternalFeed } from './external-feed.ts';
import { isInMask } from '../policy/source-mask.ts';
import { firstStart } from './install-file.ts';
import { logEvents } from './logging.ts';
import type { DaemonOptions } from './options.ts';
import { Installation as InstalledFiles } from '../state/installation.ts';
import { openInterfaces } from './open-interfaces.ts';
import { openService } from './open-service.ts';
import { openState } from './state-directory.ts';

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
  /** The state was destroyed: the process is to end without another write. */
  readonly onZeroized: () => void;
}

const EVENTS_KEPT = 1000;

/**
 * The composition root, and the daemon's life:
 *
 *   start
 *   ├─ native addon, engine thread begins loading
 *   ├─ state directory, its lock                      ✗ runtime-dir-unusable, state-in-use
 *   ├─ installed files, where that is asked for       ✗ installation-altered
 *   ├─ state archive, configuration, feed ledger      ✗ refused: goes on, gate held closed; sealed away: goes on
 *   │   └ a new state: the install file, if any       ✗ kickstart-invalid, key-file-exposed
 *   ├─ engine: module, self-test, caches, sources     ✗ module-*, self-test-failed
 *   ├─ control socket                                 ✗ socket-path-too-long, runtime-dir-unusable
 *   ├─ EGD socket, TCP listener: feed and routes      ✗ listen-failed, listen-needs-tls, tls-*
 *   └─ READY, gate open or not
 *   stop (once, whoever asks)
 *   ├─ control socket drains, feeders are told
 *   ├─ engine: last feed ends, sources end, memory cache stored, secrets wiped
 *   └─ ledger, archive and lock are let go
 */
export class Daemon {
  readonly #dependencies: DaemonDependencies;
  /** What was opened, to be closed in reverse order. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  #stopping: Promise<boolean> | undefined;
  #reload: () => void = () => undefined;

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

  /** Reads the files again that may be replaced while it runs: those of TLS. Open connections go on. */
  reload(): void {
    this.#reload();
  }

  async #start(options: DaemonOptions): Promise<void> {
    const { installation, environment, uid, log } = this.#dependencies;
    const onStop = (close: () => Promise<void> | void): void => void this.#closers.push(close);
    const clock = new SystemClock();
    const counters = new Counters();
    const bus = new EventBus({ capacity: EVENTS_KEPT }, { clock, counters });
    logEvents(bus, log);
    bus.emit('daemon.start', {
      version: installation.version,
      pid: process.pid,
      state: options.stateDirectory,
    });
    // Before anything is done that a name too long would undo.
    await prepareSocketPlace(options.runtimeDirectory, uid);
    const hardware = this.#openHardware(bus, environment);
    const worker = this.#startThread(options);
    let roomChanged: (roomBytes: number) => void = () => undefined;
    // Listens from the first moment: a thread that fails while the state is being opened must not do so unheard.
    const engine = new EngineClient({
      channel: worker,
      clock,
      events: bus,
      log,
      counters,
      // Both come after the start message only.
      onFed: (fed) => void recorder.record(fed),
      onRoom: (roomBytes) => roomChanged(roomBytes),
      onLost: (because) => {
        bus.emit('engine.failed', { because });
        this.#dependencies.onFatal(because);
      },
    });
    const random = new OwnRandomness({
      kernel: (target) => hardware.random(target),
      generate: (bytes) => engine.call('generate', bytes),
    });
    onStop(() => random.close());
    const state = await openState(
      {
        directory: options.stateDirectory,
        flags: options.flags,
        encryption: options.encryption,
        firstStart: (store) =>
          firstStart(
            store,
            { path: options.installFile, uid, moduleDirectory: this.#built() },
            { random: random.fill, clock, events: bus, log },
          ),
      },
      {
        hardware,
        random: random.fill,
        clock,
        events: bus,
        installation: new InstalledFiles({ root: installation.root }),
        onStop,
      },
    );
    const backup = new ArchiveBackup({ ...state, clock, events: bus });
    onStop(() => backup.close());
    const recovery = new RecoveryDesk({ ...state, clock, events: bus });
    await recovery.open();
    bus.subscribe(({ id }) => {
      if (id === 'gate.open') void random.refresh();
    });
    const recorder = new FeedRecorder({ ledger: state.ledger, events: bus, counters });
    const start = await engineStart(state, { random: random.fill, log });
    // Moved, not copied: of the copy that a message is made of, nobody could overwrite what is left.
    worker.postMessage(start, movedWith(start));
    const runningMask = await engine.started();
    onStop(() => engine.stop());

    const feed = await ExternalFeed.open(
      {
        software: `entropy-mixer ${installation.version}`,
        mask: start.caches === undefined ? runningMask & ~SOURCE_BITS.external : runningMask,
        lostTimeoutSeconds: state.config.values.externalEntropyLostTimeoutSeconds,
        listen: options.listen,
        tls: options.tls,
        runtimeDirectory: options.runtimeDirectory,
      },
      { ...state, engine, random: random.fill, clock, bus, counters, log },
    );
    roomChanged = (roomBytes) => feed.admission.roomChanged(roomBytes);
    onStop(() => feed.close());
    this.#reload = () => feed.reloadTls();
    const isExternal = start.caches !== undefined && isInMask(runningMask, 'external');
    const parts = { engine, feed, hardware, random: random.fill, clock, bus, counters, log, onStop };
    const opened = await openService(
      state,
      { ...options, version: installation.version, isExternal },
      {
        ...parts,
        recovery,
        onZeroized: () => {
          hardware.notify('STOPPING=1');
          sweep(options.stateDirectory);
          this.#dependencies.onZeroized();
        },
      },
    );
    const openApiFile = path.join(installation.root, 'out', 'openapi.json');
    const socketPath = await openInterfaces(state, opened, { ...options, openApiFile, uid }, parts);
    onStop(() => {
      bus.emit('daemon.stop');
      hardware.notify('STOPPING=1');
    });
    bus.emit('daemon.ready', { socket: socketPath, feed: feed.address });
    hardware.notify('READY=1');
    opened.rekey?.start();
  }

  #openHardware(bus: EventBus, environment: DaemonDependencies['environment']): Hardware {
    const notifySocket = environment.NOTIFY_SOCKET;
    const hardware = openHardware({
      addonPath: this.#built('native', 'addon.node'),
      ...(notifySocket !== undefined && { notifySocket }),
    });
    if (hardware.addon) hardware.guardMemory();
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

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
