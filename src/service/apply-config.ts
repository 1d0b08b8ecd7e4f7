import type { Configuration } from '../contract/parameters.ts';
import type { PoolFeederSettings } from '../kernel/pool-feeder.ts';
import type { ConfigParticipant } from '../state/config-store.ts';

/** The part of a configuration that the kernel feed is made from. */
export function feedSettings(configuration: Configuration): PoolFeederSettings {
  return {
    intervalSeconds: configuration.feedIntervalSeconds,
    bytesPerFeed: configuration.feedBytes,
    creditCpu: configuration.creditCpuToKernel,
  };
}

/** Takes what is live of a configuration into the running engine. Any value of the schema will do, so it refuses nothing. */
export function feedParticipant(configureFeed: (settings: PoolFeederSettings) => void): ConfigParticipant {
  return {
    prepare: (next) =>
      Promise.resolve({
        commit: () => configureFeed(feedSettings(next)),
        abort: () => undefined,
      }),
  };
}
