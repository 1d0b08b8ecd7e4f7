import path from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { EXIT } from '../base/errors.ts';
import { SystemClock } from '../base/clock.ts';
import { CONFIGURATION_FILE } from '../contract/start-settings.ts';
import { run } from './main.ts';

/** The program: the only file of the control command that touches the process. */

// A reader that goes away (`| head`) is no failure; an answer that could not be written (a full disk) is.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`Error: the answer could not be written: ${error.code ?? error.message}\n`);
  process.exit(EXIT.failed);
});

process.exitCode = await run(process.argv.slice(2), {
  program: path.basename(process.argv[1] ?? '') === 'esxcli' ? 'esxcli' : 'entropyctl',
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  environment: process.env,
  uid: process.getuid?.() ?? 0,
  configurationFile: CONFIGURATION_FILE,
  workingDirectory: process.cwd(),
  isTerminal: process.stdout.isTTY,
  clock: new SystemClock(),
  version: packageJson.version,
  interruption,
});

function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}
