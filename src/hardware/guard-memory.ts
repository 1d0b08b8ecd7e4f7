import path from 'node:path';
import { loadAddon, type Addon } from './addon.ts';

/** For programs that use no other hardware: Hardware.guardMemory, with the addon of this installation. False where there is none. */
export function guardMemoryBy(installationRoot: string): boolean {
  const { addon } = loadAddon(path.join(installationRoot, 'build', 'native', 'addon.node'));
  return addon !== undefined && guardMemory(addon);
}

export function guardMemory(addon: Addon): boolean {
  const [closed, overwrites] = [addon.forbidDump(), addon.overwriteFreed()];
  return closed && overwrites;
}
