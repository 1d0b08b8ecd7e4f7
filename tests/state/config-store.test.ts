import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EntropyError } from '../../src/base/errors.ts';
import { DEFAULT_CONFIGURATION, type Configuration } from '../../src/contract/parameters.ts';
import type { DurableFiles } from '../../src/durable/durable-files.ts';
import {
  ConfigStore,
  type ConfigParticipant,
  type ConfigStoreOptions,
} from '../../src/state/config-store.ts';
import { NoneWrapping } from '../../src/state/root-key.ts';
import { StateArchive } from '../../src/state/state-archive.ts';
import { superfluousSyncs, type CrashScenario } from '../durable/crash-simulator.ts';
import { failing, SimulatedFiles } from '../durable/simulated-files.ts';
import { seededSource } from '../fakes/seeded-stream.ts';
import { rejectsWith } from '../rejects.ts';

const random = seededSource();
const NOTHING: ConfigStoreOptions = { flags: {}, file: {} };

function openArchive(files: DurableFiles): Promise<StateArchive> {
  return StateArchive.open({ mode: 'NONE' }, { files, random, wrappings: [new NoneWrapping({ random })] });
}

async function openStore(files: DurableFiles, options = NOTHING): Promise<ConfigStore> {
  return ConfigStore.open(options, { archive: await openArchive(files) });
}

/** A store over this document, as another version or an accident might have left it. */
async function storeOver(document: string): Promise<ConfigStore> {
  const archive = await openArchive(new SimulatedFiles());
  await archive.save('config.json', Buffer.from(document));
  return ConfigStore.open(NOTHING, { archive });
}

/** A participant that writes down what it is asked, and refuses where told to. */
class Witness implements ConfigParticipant {
  readonly log: string[];
  readonly #name: string;
  readonly #refusal: Error | undefined;

  constructor(name: string, log: string[], refusal?: Error) {
    this.#name = name;
    this.log = log;
    this.#refusal = refusal;
  }

  prepare(next: Configuration, previous: Configuration): ReturnType<ConfigParticipant['prepare']> {
    this.log.push(`${this.#name} prepare ${previous.feedIntervalSeconds}→${next.feedIntervalSeconds}`);
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return Promise.resolve({
      commit: () => this.log.push(`${this.#name} commit`),
      abort: () => this.log.push(`${this.#name} abort`),
    });
  }
}

test('an empty store gives the defaults, and says so', async () => {
  const store = await openStore(new SimulatedFiles());
  assert.equal([store.values, store.refused], [DEFAULT_CONFIGURATION, undefined]);
  assert.is(store.origins.feedBytes, 'default');
});

test('a change is durable, in force, and there after a restart', async () => {
  const files = new SimulatedFiles();
  const store = await openStore(files);
  const changed = await store.change({ feedIntervalSeconds: 30, feedBytes: 128 });
  assert.equal(changed, ['feedIntervalSeconds', 'feedBytes']);
  assert.equal(
    [store.values.feedBytes, store.stored.feedBytes, store.origins.feedBytes],
    [128, 128, 'store'],
  );
  const restarted = await openStore(files);
  assert.equal(restarted.values, { ...DEFAULT_CONFIGURATION, feedIntervalSeconds: 30, feedBytes: 128 });
});

test('what is stored already changes nothing: nothing is written and no part is asked', async () => {
  const files = new SimulatedFiles();
  const store = await openStore(files);
  await store.change({ feedBytes: 128 });
  const operations = files.operations.length;
  const log: string[] = [];
  store.register(new Witness('part', log));
  assert.equal(await store.change({ feedBytes: 128, feedIntervalSeconds: null }), []);
  assert.equal([files.operations.length, log], [operations, []]);
  assert.equal(await store.change({ feedBytes: 128, feedIntervalSeconds: 11 }), ['feedIntervalSeconds']);
});

test('null goes back to the default, and leaves nothing stored', async () => {
  const store = await openStore(new SimulatedFiles());
  await store.change({ feedBytes: 128 });
  await store.change({ feedBytes: null });
  assert.equal([store.values.feedBytes, store.origins.feedBytes], [64, 'default']);
});

test('a live value runs at once, the others from the next start', async () => {
  const files = new SimulatedFiles();
  const store = await openStore(files);
  await store.change({ entropySources: 5, feedBytes: 96 });
  assert.equal([store.values.entropySources, store.running.entropySources], [5, 0]);
  assert.equal([store.values.feedBytes, store.running.feedBytes], [96, 96]);
  assert.is((await openStore(files)).running.entropySources, 5);
});

test('flag wins over file, file over store; what is overridden is stored all the same', async () => {
  const files = new SimulatedFiles();
  const layers = { flags: { entropySources: 4 }, file: { entropySources: 2, feedBytes: 256 } };
  const store = await openStore(files, layers);
  await store.change({ entropySources: 1, feedBytes: 32, feedIntervalSeconds: 7 });
  assert.equal([store.values.entropySources, store.origins.entropySources], [4, 'flag']);
  assert.equal([store.values.feedBytes, store.origins.feedBytes], [256, 'file']);
  assert.equal([store.values.feedIntervalSeconds, store.origins.feedIntervalSeconds], [7, 'store']);
  assert.is((await openStore(files)).values.entropySources, 1);
});

test('every part prepares, then the values are saved, then every part commits, in order', async () => {
  const files = new SimulatedFiles();
  const store = await openStore(files);
  const log: string[] = [];
  store.register(new Witness('first', log));
  store.register(new Witness('second', log));
  files.fault = (operation) => {
    if (operation === 'rename') log.push('save');
    return undefined;
  };
  await store.change({ feedIntervalSeconds: 20 });
  assert.equal(log, ['first prepare 10→20', 'second prepare 10→20', 'save', 'first commit', 'second commit']);
});

test('one part refuses: its error, the others abort, nothing is written, the old value is in force', async () => {
  const files = new SimulatedFiles();
  const store = await openStore(files);
  const log: string[] = [];
  store.register(new Witness('first', log));
  store.register(new Witness('second', log));
  store.register(new Witness('third', log, new EntropyError('engine-busy', 'not now')));
  const error = await rejectsWith(store.change({ feedIntervalSeconds: 20 }), 'engine-busy');
  assert.is(error.message, 'not now');
  assert.equal(log.slice(2), ['third prepare 10→20', 'second abort', 'first abort']);
  assert.equal([store.values.feedIntervalSeconds, files.operations.length], [10, 0]);
});

test('the disk refuses: every part aborts, the old value is in force and on disk, and a later change works', async () => {
  const files = new SimulatedFiles();
  const store = await openStore(files);
  await store.change({ feedIntervalSeconds: 11 });
  const log: string[] = [];
  store.register(new Witness('part', log));
  files.fault = failing('write');
  await rejectsWith(store.change({ feedIntervalSeconds: 20 }), 'state-unwritable');
  files.fault = undefined;
  assert.equal(log, ['part prepare 11→20', 'part abort']);
  assert.is(store.values.feedIntervalSeconds, 11);
  assert.is((await openStore(files)).values.feedIntervalSeconds, 11);
  await store.change({ feedIntervalSeconds: 21 });
  assert.is(store.values.feedIntervalSeconds, 21);
});

test('changes that come together happen one after the other, each on top of the last', async () => {
  const store = await openStore(new SimulatedFiles());
  const log: string[] = [];
  store.register(new Witness('part', log));
  await Promise.all([
    store.change({ feedIntervalSeconds: 11 }),
    store.change({ feedBytes: 96 }),
    store.change({ feedIntervalSeconds: 12 }),
  ]);
  assert.equal(
    log.filter((line) => line.includes('prepare')),
    ['part prepare 10→11', 'part prepare 11→11', 'part prepare 11→12'],
  );
  assert.equal([store.values.feedIntervalSeconds, store.values.feedBytes], [12, 96]);
});

test('a commit that throws is a broken invariant, not an operational error', async () => {
  const store = await openStore(new SimulatedFiles());
  const prepared = { commit: () => assert.unreachable('commit'), abort: () => undefined };
  store.register({ prepare: () => Promise.resolve(prepared) });
  await store.change({ feedBytes: 96 }).then(
    () => assert.unreachable(),
    (error: unknown) => {
      assert.match(String(error), /broken invariant/);
      assert.not(error instanceof EntropyError);
    },
  );
});

test('an unknown parameter and a value out of range are refused before any part is asked', async () => {
  const store = await openStore(new SimulatedFiles());
  const log: string[] = [];
  store.register(new Witness('part', log));
  await rejectsWith(store.change({ feedByte: 64 }), 'parameter-unknown');
  await rejectsWith(store.change({ feedIntervalSeconds: 20, feedBytes: 65 }), 'parameter-invalid');
  await rejectsWith(store.change('feedBytes'), 'parameter-invalid');
  assert.equal([log, store.values], [[], DEFAULT_CONFIGURATION]);
});

test('over a refused archive the layers above the store are in force, and changes get its code', async () => {
  const files = new SimulatedFiles();
  await (await openStore(files)).change({ feedBytes: 96 });
  await (await files.open('bootbank/state.tgz'))?.write(700, Buffer.from('damage'));
  const store = await openStore(files, { flags: { entropySources: 4 }, file: {} });
  assert.is(store.refused?.code, 'state-damaged');
  assert.equal(store.values, { ...DEFAULT_CONFIGURATION, entropySources: 4 });
  await rejectsWith(store.change({ feedBytes: 32 }), 'state-damaged');
});

for (const [document, code] of [
  ['{"version":2,"values":{}}', 'state-version-newer'],
  ['{"version":1,"values":{"parameterOfTomorrow":1}}', 'state-version-newer'],
  ['{"version":1,"values":{"feedBytes":65}}', 'state-damaged'],
  ['{"version":1,"values":[]}', 'state-damaged'],
  ['{"version":"1","values":{}}', 'state-damaged'],
  ['{"version":1}', 'state-damaged'],
  ['[]', 'state-damaged'],
  ['{', 'state-damaged'],
  ['', 'state-damaged'],
] as const) {
  test(`a stored document ${document || '(empty)'} is refused: ${code}`, async () => {
    const store = await storeOver(document);
    assert.equal([store.refused?.code, store.values], [code, DEFAULT_CONFIGURATION]);
    await rejectsWith(store.change({ feedBytes: 32 }), code);
  });
}

test('crash: the old configuration or the new one, never a mixture, and the new one once it resolved; every sync is needed', async () => {
  const scenario: CrashScenario<string> = {
    setup: async (files) => {
      await (await openStore(files)).change({ feedIntervalSeconds: 11, feedBytes: 32 });
    },
    run: async (files, mark) => {
      const store = await openStore(files);
      await store.change({ feedIntervalSeconds: 12, feedBytes: 64 });
      mark('changed');
    },
    check: async (files, stop) => {
      const store = await openStore(files);
      const found = `${store.refused?.code ?? ''} ${store.values.feedIntervalSeconds} ${store.values.feedBytes}`;
      assert.ok([...(stop.completed.has('changed') ? [] : [' 11 32']), ' 12 64'].includes(found), found);
      return found;
    },
    recheck: async (files, _, seen) => {
      const { feedIntervalSeconds, feedBytes } = (await openStore(files)).values;
      assert.is(` ${feedIntervalSeconds} ${feedBytes}`, seen);
    },
  };
  // The first sync is that of opening, and the second that of the copy kept as previous: the archive's test needs them.
  assert.equal(await superfluousSyncs(scenario), ['run: sync 0', 'run: sync 1']);
});

test.run();
