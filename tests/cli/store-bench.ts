import { configurationReport } from '../../src/contract/configuration-report.ts';
import type { ConfigurationReport } from '../../src/contract/outputs.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import { ConfigStore, type ConfigStoreOptions } from '../../src/state/config-store.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { closeBench, openBench, type ControlBench } from '../api/control-bench.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { runCommand, type Outcome } from './cli-bench.ts';

const random = seededSource();

/** The configuration as the daemon keeps it, over these files. */
export async function openStore(
  files: DurableFiles,
  layers: ConfigStoreOptions = { flags: {}, file: {} },
): Promise<ConfigStore> {
  const wrappings = [new NoneWrapping({ random })];
  const archive = await StateArchive.open({ mode: 'NONE' }, { files, random, wrappings });
  return ConfigStore.open(layers, { archive });
}

/** The control command before a control socket with a real configuration store behind it. */
export class StoreBench {
  readonly #bench: ControlBench;
  readonly #store: ConfigStore;
  /** The keys of each change that the daemon was asked for. */
  readonly changes: string[][] = [];

  private constructor(bench: ControlBench, store: ConfigStore) {
    this.#bench = bench;
    this.#store = store;
    bench.service.configuration = () => this.#report();
    bench.service.changeConfiguration = async (patch) => {
      this.changes.push(Object.keys(patch as object));
      await store.change(patch);
      return this.#report();
    };
  }

  static async open(files: DurableFiles, layers?: ConfigStoreOptions): Promise<StoreBench> {
    return new StoreBench(await openBench(), await openStore(files, layers));
  }

  control(...argv: readonly string[]): Promise<Outcome> {
    return runCommand(['--runtime-dir', this.#bench.directory, ...argv]);
  }

  close(): Promise<void> {
    return closeBench(this.#bench);
  }

  #report(): ConfigurationReport {
    const { values, origins, stored, running, refused } = this.#store;
    const report = configurationReport({ values, origins }, stored, running);
    return { ...report, startSettings: [], refused: refused?.code ?? '' };
  }
}
