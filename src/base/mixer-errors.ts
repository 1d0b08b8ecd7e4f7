import { entry, EXIT, type ErrorEntry } from './error-entry.ts';

/** The rows of the table of errors that deal with the mixer module and the kernel. */
export const MIXER_ERRORS = {
  // The mixer module
  'module-missing': entry(
    500,
    EXIT.integrity,
    false,
    'The WebAssembly module or its digest file is not there.',
    'Run `npm run build` in a clone, or install the package again.',
  ),
  'module-digest-mismatch': entry(
    500,
    EXIT.integrity,
    false,
    'The WebAssembly module is not the one that the build recorded.',
    'Do not use it. Build or install again, and find out who changed the file.',
  ),
  'module-abi-mismatch': entry(
    500,
    EXIT.integrity,
    false,
    'The WebAssembly module does not keep to the ABI this host was built for.',
    'Build or install module and host together.',
  ),
  'self-test-failed': entry(
    500,
    EXIT.integrity,
    false,
    'A known-answer test of the mixer failed; it is wiped and gives nothing out.',
    'Restart once; if it fails again, distrust memory or CPU of this host.',
  ),
  'mixer-refused': entry(
    500,
    EXIT.internal,
    false,
    'The mixer refused a call in its present state; the detail names its status.',
    'Report it with the status: the host should not have made this call.',
  ),

  // The kernel
  'kernel-refused': entry(
    500,
    EXIT.failed,
    true,
    'The kernel refused the bytes; the detail gives its errno.',
    'Check CAP_SYS_ADMIN and /dev/random; without the capability feeding goes on uncredited.',
  ),
  'kernel-writer-lost': entry(
    500,
    EXIT.failed,
    true,
    'The kernel-writer process ended or stopped answering.',
    'It is started again by itself; its reason is in the log.',
  ),
} as const satisfies Record<string, ErrorEntry>;
