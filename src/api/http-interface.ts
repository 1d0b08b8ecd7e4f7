import type { Clock } from '../base/clock.ts';
import type { Counters } from '../base/counters.ts';
import type { Log } from '../base/log.ts';
import type { ControlService } from '../contract/control-service.ts';
import { Authenticator, type AuthenticatorDependencies } from './auth/authenticator.ts';
import type { ControlApp } from './control-app.ts';
import { EVENT_STREAM_DEFAULTS, EventStream, type EventStreamOptions } from './event-stream.ts';
import { Peers } from './peers.ts';
import { buildServer } from './server.ts';
import type { VsphereApi } from './vsphere/vsphere-api.ts';

export interface HttpInterfaceOptions {
  /** The OpenAPI document that the build made; undefined where it was not built. */
  readonly openApiFile: string | undefined;
  readonly stream?: EventStreamOptions;
}

export interface HttpInterfaceDependencies extends Omit<AuthenticatorDependencies, 'peers'> {
  readonly service: ControlService;
  readonly vsphere?: VsphereApi | undefined;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
}

/** The routes as all listeners serve them. Each introduces its peers, if it knows them, and has an event stream of its own to close. */
export class HttpInterface {
  readonly peers: Peers;
  readonly app: ControlApp;
  readonly #options: HttpInterfaceOptions;
  readonly #dependencies: HttpInterfaceDependencies;
  readonly #authenticator: Authenticator;

  private constructor(options: HttpInterfaceOptions, dependencies: HttpInterfaceDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.peers = new Peers();
    this.#authenticator = new Authenticator({ ...dependencies, peers: this.peers });
    this.app = buildServer(options, { ...dependencies, authenticator: this.#authenticator });
  }

  static async open(
    options: HttpInterfaceOptions,
    dependencies: HttpInterfaceDependencies,
  ): Promise<HttpInterface> {
    const opened = new HttpInterface(options, dependencies);
    await opened.app.ready();
    return opened;
  }

  /** For the upgrade requests of one listener. */
  eventStream(): EventStream {
    const authenticator = this.#authenticator;
    return new EventStream(this.#options.stream ?? EVENT_STREAM_DEFAULTS, {
      ...this.#dependencies,
      authenticator,
    });
  }

  /** To be called when the listeners are closed. */
  async close(): Promise<void> {
    await this.app.close();
  }
}
