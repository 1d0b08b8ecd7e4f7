import { hostname } from 'node:os';
import { CREDENTIAL_LIMITS, CredentialRefusals } from '../api/auth/credential-refusals.ts';
import { PasswordCheck } from '../api/auth/password-check.ts';
import { ControlSocket } from '../api/control-socket.ts';
import { EGD_DEFAULTS, EgdServer } from '../api/egd-server.ts';
import { HttpInterface } from '../api/http-interface.ts';
import { VAPI_SESSION_LIMITS, VapiSessions } from '../api/vsphere/vapi-sessions.ts';
import { VsphereApi } from '../api/vsphere/vsphere-api.ts';
import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { EventBus } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { RandomSource } from '../base/random.ts';
import type { Hardware } from '../hardware/hardware.ts';
import { ExternalPool } from '../service/external-pool.ts';
import type { ExternalFeed } from './external-feed.ts';
import type { OpenedService } from './open-service.ts';
import type { OpenedState } from './state-directory.ts';

export interface InterfaceOptions {
  readonly runtimeDirectory: string;
  readonly openApiFile: string;
  /** Who owns the control socket. */
  readonly uid: number;
}

export interface InterfaceDependencies {
  readonly feed: ExternalFeed;
  readonly hardware: Hardware;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly bus: EventBus;
  readonly counters: Counters;
  readonly log: Log;
  /** Told how to let go of each part, as it is opened. */
  readonly onStop: (close: () => Promise<void> | void) => void;
}

/**
 * The ways in: control socket, EGD socket, and the TCP listener of feed and routes, which all accept when it resolves. On a stop
 * feeders are hung up on first, and the routes end last.
 *
 * @returns the path of the control socket
 * @throws EntropyError socket-path-too-long, runtime-dir-unusable, listen-failed, listen-needs-tls, tls-*
 */
export async function openInterfaces(
  state: OpenedState,
  opened: OpenedService,
  options: InterfaceOptions,
  dependencies: InterfaceDependencies,
): Promise<string> {
  const { runtimeDirectory, openApiFile, uid } = options;
  const { feed, hardware, clock, bus, counters, log, onStop } = dependencies;
  const { service, output } = opened;
  const refusals = new CredentialRefusals(CREDENTIAL_LIMITS, { events: bus, counters, clock });
  const vsphere = vsphereApi(state, opened, refusals, dependencies);
  const routes = await HttpInterface.open(
    { openApiFile },
    { service, vsphere, tokens: state.tokens, refusals, clock, counters, log },
  );
  onStop(() => routes.close());
  const peerCredentials = hardware.addon ? (fd: number) => hardware.peerCredentials(fd) : undefined;
  const socket = await ControlSocket.open({ runtimeDirectory }, { routes, uid, clock, peerCredentials });
  onStop(() => socket.close());
  const egd = await EgdServer.open(
    { ...EGD_DEFAULTS, runtimeDirectory, pid: process.pid },
    { output, clock, counters, log },
  );
  onStop(() => egd.close());
  onStop(() => feed.hangUp());
  await feed.listen(routes);
  return socket.path;
}

function vsphereApi(
  state: OpenedState,
  { service, sessions, passwords }: OpenedService,
  refusals: CredentialRefusals,
  { feed, random, clock, counters }: InterfaceDependencies,
): VsphereApi {
  const pool = new ExternalPool({
    ...state,
    external: () => service.external(),
    configuration: () => state.config.values,
    admission: feed.admission,
    sessions,
    random,
    counters,
  });
  return new VsphereApi(
    { hostName: hostname() },
    {
      pool,
      passwords: new PasswordCheck({ ...state, passwords, refusals }),
      sessions: new VapiSessions(VAPI_SESSION_LIMITS, { ...state, random, clock }),
      refusals,
    },
  );
}
