/**
 * Runs every bench in a fixed order and prints the ratios last: `npm run bench`, or with names, `npm run bench -- blocks`.
 * Figures are of this machine at this moment; a ratio compares what ran in the same process minutes apart at most.
 */
import { benchAbiCall } from './abi-call.ts';
import { benchBackup } from './backup.ts';
import { benchBlocks } from './blocks.ts';
import { benchControl } from './control.ts';
import { benchDaemon } from './daemon.ts';
import { benchFeed } from './feed.ts';
import { benchHardware } from './hardware.ts';
import { printRatios, type BenchRatio } from './harness.ts';
import { benchHealthTests } from './health-tests.ts';
import { benchKernel } from './kernel.ts';
import { benchSeal } from './seal.ts';

/** A bench prints its figures as it goes; ratios that it answers are printed together at the end. */
type Bench = () => BenchRatio[] | Promise<BenchRatio[]>;

const BENCHES: Readonly<Record<string, Bench>> = {
  blocks: benchBlocks,
  'health-tests': benchHealthTests,
  'abi-call': benchAbiCall,
  hardware: withoutRatios(benchHardware),
  kernel: withoutRatios(benchKernel),
  daemon: withoutRatios(benchDaemon),
  backup: withoutRatios(benchBackup),
  seal: withoutRatios(benchSeal),
  control: benchControl,
  feed: benchFeed,
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`no bench ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exitCode = 2;
} else {
  const ratios: BenchRatio[] = [];
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (chosen.length === 0 || chosen.includes(name)) ratios.push(...(await bench()));
  }
  printRatios(ratios);
}

function withoutRatios(bench: () => unknown): Bench {
  return async () => {
    await bench();
    return [];
  };
}
