import { createRequire } from 'node:module';
import type {
  FillResult,
  InterruptCollectorOptions,
  InterruptCollectorStatus,
  PeerCredentials,
} from './hardware.ts';

/** The functions of native/addon.c. Bad arguments throw TypeError or RangeError; a refused system call throws Error. */
export interface Addon {
  cpu(): AddonCpu;
  rdrandFill(target: Uint8Array): FillResult;
  rdseedFill(target: Uint8Array): FillResult;
  interruptsStart(options: InterruptCollectorOptions): void;
  interruptsTake(target: Uint8Array): number;
  interruptsStatus(): InterruptCollectorStatus;
  interruptsStop(): void;
  getrandom(target: Uint8Array): void;
  flockExclusive(fd: number): boolean;
  peerCredentials(fd: number): PeerCredentials | undefined;
  sdNotify(socketPath: string, message: string): boolean;
  lockMemory(bytes: Uint8Array): boolean;
  forbidDump(): boolean;
  overwriteFreed(): boolean;
  ueventOpen(): boolean;
  ueventReceive(target: Uint8Array): number;
  ueventClose(): void;
}

export interface AddonCpu {
  readonly architecture: string;
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly rdrand: boolean;
  readonly rdseed: boolean;
}

export type AddonLoad = { readonly addon: Addon } | { readonly addon: undefined; readonly absence: string };

const FUNCTIONS = [
  'cpu',
  'rdrandFill',
  'rdseedFill',
  'interruptsStart',
  'interruptsTake',
  'interruptsStatus',
  'interruptsStop',
  'getrandom',
  'flockExclusive',
  'peerCredentials',
  'sdNotify',
  'lockMemory',
  'forbidDump',
  'overwriteFreed',
  'ueventOpen',
  'ueventReceive',
  'ueventClose',
] as const satisfies readonly (keyof Addon)[];

/** Loads the addon. An absent or broken one is an ordinary answer with its reason: every host must start. */
export function loadAddon(path: string): AddonLoad {
  let loaded: unknown;
  try {
    loaded = createRequire(import.meta.url)(path);
  } catch (error) {
    return { addon: undefined, absence: absenceReason(path, error) };
  }
  if (!isAddon(loaded))
    return { addon: undefined, absence: `${path} was built from other sources: build it again` };
  return { addon: loaded };
}

function absenceReason(path: string, error: unknown): string {
  if (!(error instanceof Error)) return `${path} cannot be loaded`;
  const notBuilt = 'code' in error && error.code === 'MODULE_NOT_FOUND';
  return notBuilt
    ? `${path} is not built`
    : `${path} cannot be loaded: ${error.message.split('\n', 1)[0] ?? ''}`;
}

function isAddon(value: unknown): value is Addon {
  if (typeof value !== 'object' || value === null) return false;
  const members: Partial<Record<string, unknown>> = { ...value };
  return FUNCTIONS.every((name) => typeof members[name] === 'function');
}
