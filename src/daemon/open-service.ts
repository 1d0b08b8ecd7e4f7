import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { EventBus } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import type { StartSettingReport } from '../contract/start-settings.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { AccessRegistry } from '../service/access-registry.ts';
import type { CacheRekey } from '../service/cache-rekey.ts';
import { EncryptionDesk } from '../service/encryption-desk.ts';
import { EngineServedOutput } from '../service/engine-served-output.ts';
import { EntropyService } from '../service/entropy-service.ts';
import type { RecoveryDesk } from '../service/recovery-desk.ts';
import { RequestIntake } from '../service/request-intake.ts';
import { RequestSessions } from '../service/request-sessions.ts';
import type { ServedOutput } from '../service/served-output.ts';
import { ZeroizeDesk } from '../service/zeroize-desk.ts';
import { PASSWORD_HASHER_DEFAULTS, PasswordHasher } from '../state/password.ts';
import type { ExternalFeed } from './external-feed.ts';
import { registerLiveSettings } from './live-settings.ts';
import { openRekey, unknownKey } from './open-rekey.ts';
import { openedSeed } from './opened-seed.ts';
import type { OpenedState } from './state-directory.ts';
import { requireHostName, zeroizeState } from './zeroize-state.ts';

export interface ServiceOptions {
  readonly version: string;
  readonly stateDirectory: string;
  readonly startSettings: readonly StartSettingReport[];
  /** The engine has the caches of external entropy open. */
  readonly isExternal: boolean;
}

export interface ServiceDependencies {
  readonly engine: EngineClient;
  readonly feed: ExternalFeed;
  readonly recovery: RecoveryDesk;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly bus: EventBus;
  readonly counters: Counters;
  readonly log: Log;
  /** The state was destroyed: nothing may write to it any more. */
  readonly onZeroized: () => void;
  /** Told how to let go of each part, as it is opened. */
  readonly onStop: (close: () => Promise<void> | void) => void;
}

/** The service, and those of its parts that interfaces of another shape use beside it. */
export interface OpenedService {
  readonly service: EntropyService;
  readonly sessions: RequestSessions;
  readonly output: ServedOutput;
  readonly passwords: PasswordHasher;
  /** Not yet started; undefined when the caches' key must not be changed. */
  readonly rekey: CacheRekey | undefined;
}

/** What the interfaces can ask, put together. From now on a change of the configuration reaches the running parts. */
export async function openService(
  state: OpenedState,
  options: ServiceOptions,
  dependencies: ServiceDependencies,
): Promise<OpenedService> {
  const { isExternal } = options;
  const { engine, feed, random, clock, bus, log, onStop } = dependencies;
  const { admission } = feed;
  const passwords = new PasswordHasher(PASSWORD_HASHER_DEFAULTS, { random });
  const encryption = encryptionDesk(state, bus);
  await state.encryption.tellChangedKeys();
  const access = new AccessRegistry({ ...state, passwords, events: bus });
  const installSeed = await openedSeed(state, { inUse: isExternal }, { random, bus, log });
  const rekey = openRekey(state, { isExternal }, { engine, random, clock, bus });
  onStop(() => rekey?.close());
  const sessions = new RequestSessions({ admission, random, clock });
  onStop(() => sessions.close());
  const output = new EngineServedOutput({ engine });
  const service = new EntropyService(
    { version: options.version, state: state.report, startSettings: options.startSettings },
    {
      ...state,
      ...dependencies,
      feeders: feed.registry,
      access,
      intake: new RequestIntake({ admission, sessions }),
      admission,
      installSeed,
      cacheKey: () => rekey?.report() ?? unknownKey(state),
      encryption,
      output,
      zeroizing: zeroizeDesk(state, options, dependencies),
    },
  );
  registerLiveSettings(state.config, { engine, admission, log });
  return { service, sessions, output, passwords, rekey };
}

function encryptionDesk({ archive, encryption }: OpenedState, bus: EventBus): EncryptionDesk {
  return new EncryptionDesk({
    archive,
    sealing: encryption.sealing,
    none: encryption.none,
    installation: encryption.installation,
    secureBoot: () => encryption.secureBoot(),
    keys: () => encryption.keys(),
    events: bus,
  });
}

function zeroizeDesk(
  { archive, encryption }: OpenedState,
  { stateDirectory }: ServiceOptions,
  { engine, bus, onZeroized }: ServiceDependencies,
): ZeroizeDesk {
  return new ZeroizeDesk({
    engine,
    archive,
    events: bus,
    confirm: requireHostName,
    destroy: ({ isSealed }) =>
      zeroizeState({ directory: stateDirectory, isSealed, openTpm: encryption.tpmOf({ isSealed }) }),
    onEnd: onZeroized,
  });
}
