import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { cacheParticipant, feedSettings, liveParticipant } from '../service/apply-config.ts';
import type { FeederAdmission } from '../service/feeder-admission.ts';
import type { ConfigStore } from '../state/config-store.ts';

interface RunningParts {
  readonly engine: EngineClient;
  readonly admission: FeederAdmission;
  readonly log: Log;
}

/** From now on each running part takes its share of a change; one that cannot any more is told in the log. */
export function registerLiveSettings(config: ConfigStore, { engine, admission, log }: RunningParts): void {
  const told = (work: Promise<unknown>): void => {
    work.catch((error: unknown) =>
      log.error('the engine did not take a new setting; it is in force at the next start', {
        because: messageOf(error),
      }),
    );
  };
  config.register(
    cacheParticipant({
      prepare: async (sizes) => {
        await engine.call('prepareCaches', sizes);
      },
      settle: (commit) => told(engine.call('settleCaches', commit)),
    }),
  );
  config.register(
    liveParticipant((next) => {
      told(engine.call('configureFeed', feedSettings(next)));
      told(engine.call('configureServed', next.servedDrawLimitBitsPerSecond));
      admission.reconfigure(next.externalEntropyLostTimeoutSeconds);
    }),
  );
}
