import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  ControlSocket,
  type ControlSocketDependencies,
  type ControlSocketOptions,
} from '../../src/api/control-socket.ts';
import { HttpInterface, type HttpInterfaceOptions } from '../../src/api/http-interface.ts';
import { SystemClock } from '../../src/base/clock.ts';
import { Counters } from '../../src/base/counters.ts';
import { fakeCredentials, type FakeTokens } from './credentials-fake.ts';
import { FakeControlService, silentLog } from './fake-control-service.ts';

export const OWN_UID = process.getuid?.() ?? 0;

export interface ControlBench {
  readonly directory: string;
  readonly socket: ControlSocket;
  readonly service: FakeControlService;
  readonly counters: Counters;
  readonly tokens: FakeTokens;
  readonly routes: HttpInterface;
}

export async function temporaryDirectory(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'control-'));
}

/** A control socket with a fake service behind it, in a folder of its own. */
export async function openBench(
  options: Partial<ControlSocketOptions & HttpInterfaceOptions> = {},
  dependencies: Partial<Omit<ControlSocketDependencies, 'routes'>> = {},
): Promise<ControlBench> {
  const directory = options.runtimeDirectory ?? (await temporaryDirectory());
  const service = new FakeControlService();
  const counters = new Counters();
  const clock = dependencies.clock ?? new SystemClock();
  const credentials = fakeCredentials(clock, counters);
  const routes = await HttpInterface.open(
    { openApiFile: undefined, ...options },
    { service, clock, counters, log: silentLog, ...credentials },
  );
  const socket = await ControlSocket.open(
    { ...options, runtimeDirectory: directory },
    { routes, uid: OWN_UID, peerCredentials: undefined, clock, ...dependencies },
  );
  return { directory, socket, service, counters, tokens: credentials.tokens, routes };
}

export async function closeBench({ socket, directory }: ControlBench): Promise<void> {
  await socket.close();
  await rm(directory, { recursive: true, force: true });
}

/** Status and body of one request over the socket. */
export function request(
  socketPath: string,
  method: string,
  url: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = http.request({ socketPath, method, path: url, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject).end();
  });
}

/** Sends bytes as they are, ends, and gives all that came back; with `hold`, the sending side stays open. */
export function exchange(
  place: string | { readonly host: string; readonly port: number },
  bytes: string | Buffer,
  hold = false,
): Promise<string> {
  return new Promise((resolve) => {
    const client = typeof place === 'string' ? net.connect(place) : net.connect(place);
    let text = '';
    client.setEncoding('latin1').on('data', (part) => (text += String(part)));
    client.on('error', () => undefined);
    client.on('close', () => resolve(text));
    if (hold) client.write(bytes);
    else client.end(bytes);
  });
}
