import type { CommandEntry } from './command-entry.ts';
import type { ParameterKey } from './parameters.ts';
import { SHAPES } from './shapes.ts';

/** `system settings kernel`: what ESXi keeps as boot options, under the names it gives them. */

/** Those that are parameters: they can be set, and are in force from the next start on. */
export const KERNEL_SETTINGS = ['entropySources', 'disableHwrng'] as const satisfies readonly ParameterKey[];

/** Those that ESXi has and that are no choice here: told, and refused when set. */
export const FIXED_KERNEL_SETTINGS = {
  healthCheckEnabled: {
    value: true,
    description: 'Runs the health tests of each source; they cannot be turned off.',
  },
} as const;

const NAMES: readonly string[] = [...KERNEL_SETTINGS, ...Object.keys(FIXED_KERNEL_SETTINGS)];

export const KERNEL_COMMANDS = {
  kernelSettings: {
    words: ['system', 'settings', 'kernel', 'list'],
    summary: 'List kernel settings: configured, in force now and by default',
    options: [
      {
        long: 'delta',
        short: 'd',
        type: 'flag',
        description: 'Only settings that are not configured as by default',
      },
      {
        long: 'option',
        short: 'o',
        type: 'string',
        choices: NAMES,
        description: 'Only this setting',
      },
    ],
    route: 'configuration',
    output: SHAPES.kernelSettings,
  },
  setKernelSetting: {
    words: ['system', 'settings', 'kernel', 'set'],
    summary: 'Set a kernel setting; it is in force from the next start on',
    options: [
      {
        long: 'setting',
        short: 's',
        type: 'string',
        required: true,
        choices: NAMES,
        description: 'Name of the setting; healthCheckEnabled can only be read',
      },
      {
        long: 'value',
        short: 'v',
        type: 'string',
        required: true,
        minimum: 1,
        maximum: 64,
        description:
          'entropySources: 0 to 15, the sum of 1 interrupts, 2 RDRAND, 4 RDSEED, 8 external; 0 is the default. disableHwrng: TRUE or FALSE',
      },
    ],
    route: 'changeConfiguration',
    output: null,
  },
} as const satisfies Record<string, CommandEntry>;
