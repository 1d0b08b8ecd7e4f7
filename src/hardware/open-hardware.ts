import { loadAddon, type Addon } from './addon.ts';
import { guardMemory } from './guard-memory.ts';
import { readCpuInfo, type CpuInfo } from './cpuinfo.ts';
import type { Hardware, InterruptCollector, UeventSocket } from './hardware.ts';
import { hardwareWithoutAddon } from './without-addon.ts';

export interface HardwareOptions {
  /** The built addon, an absolute path: build/native/addon.node. */
  readonly addonPath: string;
  /** Where the CPU's flags stand; /proc/cpuinfo. */
  readonly cpuinfoPath?: string;
  /** $NOTIFY_SOCKET; nobody is notified when it is absent or empty. */
  readonly notifySocket?: string;
}

/** Opens what this host has. Never fails: without the addon everything answers that it is missing. */
export function openHardware(options: HardwareOptions): Hardware {
  const cpuInfo = readCpuInfo(options.cpuinfoPath ?? '/proc/cpuinfo');
  const load = loadAddon(options.addonPath);
  return load.addon === undefined
    ? hardwareWithoutAddon(load.absence, cpuInfo)
    : hardwareWithAddon(load.addon, cpuInfo, options.notifySocket ?? '');
}

function hardwareWithAddon(addon: Addon, cpuInfo: CpuInfo, notifySocket: string): Hardware {
  return {
    addon: true,
    absence: '',
    cpu: {
      ...addon.cpu(),
      microcode: cpuInfo.microcode,
      flagsRdrand: cpuInfo.flags.has('rdrand'),
      flagsRdseed: cpuInfo.flags.has('rdseed'),
    },
    rdrand: (target) => addon.rdrandFill(target),
    rdseed: (target) => addon.rdseedFill(target),
    interrupts: interruptCollector(addon),
    random: (target) => addon.getrandom(target),
    lockFile: (fd) => addon.flockExclusive(fd),
    peerCredentials: (fd) => addon.peerCredentials(fd),
    notify: (message) => notifySocket !== '' && addon.sdNotify(notifySocket, message),
    lockMemory: (bytes) => addon.lockMemory(bytes),
    guardMemory: () => guardMemory(addon),
    uevents: ueventSocket(addon),
  };
}

function interruptCollector(addon: Addon): InterruptCollector {
  return {
    start: (options) => addon.interruptsStart(options),
    take: (target) => addon.interruptsTake(target),
    status: () => addon.interruptsStatus(),
    stop: () => addon.interruptsStop(),
  };
}

function ueventSocket(addon: Addon): UeventSocket {
  return {
    open: () => addon.ueventOpen(),
    receive: (target) => addon.ueventReceive(target),
    close: () => addon.ueventClose(),
  };
}
