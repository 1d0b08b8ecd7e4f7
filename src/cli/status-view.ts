import { ERRORS, isErrorCode } from '../base/errors.ts';
import { EVENTS } from '../base/events.ts';
import { SOURCE_BITS, SOURCE_NAMES, type SourceName } from '../base/names.ts';
import type { GateReport, OverrideReport } from '../contract/gate.ts';
import type {
  FeedRecord,
  KernelReport,
  MaskReport,
  SourceReport,
  StatusReport,
} from '../contract/outputs.ts';
import { durationText, elapsedText, rateText, sizeText } from './durations.ts';
import { printable } from './formatters/output.ts';
import { timeText } from './times.ts';

/**
 * What people read first, in the order of their questions: is it safe, for how long not, what to do; then the kernel
 * feed, the mask, each source, and whatever else is wrong.
 */
export function statusText(report: StatusReport): string {
  const lines = [
    ...gateLines(report.gate, report.nowMs),
    `Kernel: ${kernelText(report.kernel, report.nowMs)}`,
    `Mask: ${maskText(report.mask)}`,
    ...report.sources.map((source) => `Source ${SOURCE_LABELS[source.name]}: ${sourceText(source)}`),
    ...externalLines(report),
    ...troubleLines(report),
  ];
  return lines.map((line) => `   ${printable(line)}\n`).join('');
}

const SOURCE_LABELS: Readonly<Record<SourceName, string>> = {
  interrupts: 'interrupts',
  rdrand: 'RDRAND',
  rdseed: 'RDSEED',
  external: 'external',
};

function gateLines(gate: GateReport, nowMs: number): string[] {
  const advice = gate.whatToDo === '' ? [] : [`What to do: ${gate.whatToDo}`];
  if (gate.state === 'closed') {
    return [
      `Gate: CLOSED: ${gate.reason ?? 'no reason given'}, for ${elapsedText(gate.sinceMs, nowMs)}`,
      ...(gate.override === null ? [] : [`Override: in force ${overrideText(gate.override)}`]),
      ...advice,
    ];
  }
  if (gate.override !== null) return [`Gate: OVERRIDDEN ${overrideText(gate.override)}`, ...advice];
  return gate.degraded ? ['Gate: OPEN, degraded', ...advice] : ['Gate: OPEN'];
}

function overrideText({ untilMs, mask, reason, by }: OverrideReport): string {
  return `until ${timeText(untilMs)} (mask ${mask}, "${reason}", by ${by})`;
}

function kernelText(kernel: KernelReport, nowMs: number): string {
  const { lastFeed, waitingSinceMs, lastFailure } = kernel;
  const plan = `${kernel.bytesPerFeed} B every ${durationText(kernel.intervalSeconds)}`;
  const fed = lastFeed === null ? `not fed yet, ${plan}` : lastFeedText(lastFeed, nowMs);
  const parts = [
    fed,
    `${kernel.feedsSinceStart} ${kernel.feedsSinceStart === 1 ? 'feed' : 'feeds'} since start`,
    ...(waitingSinceMs === null
      ? []
      : [`a feed has waited for a block for ${elapsedText(waitingSinceMs, nowMs)}`]),
    ...(lastFailure === '' ? [] : [`the last one failed: ${lastFailure}`]),
  ];
  return parts.join('; ');
}

function lastFeedText(feed: FeedRecord, nowMs: number): string {
  const credited = SOURCE_NAMES.filter((name) => feed.creditedBits[name] > 0).map(
    (name) => SOURCE_LABELS[name],
  );
  const from = credited.length === 0 ? 'no credited source' : credited.join(' and ');
  const asked = feed.path === 'ioctl' ? `credit asked ${feed.creditAskedBits}` : 'by write without credit';
  const reseed = feed.reseed === 'done' ? 'reseeded' : `not reseeded (${feed.reseed})`;
  return `fed ${feed.bytes} B ${elapsedText(feed.atMs, nowMs)} ago from ${from}, ${asked}, ${reseed}`;
}

function maskText({ configured, running, honoured }: MaskReport): string {
  return `configured ${configured}, running ${running} (${maskNames(running)}), honoured ${honoured}`;
}

function maskNames(mask: number): string {
  const names = SOURCE_NAMES.filter((name) => (mask & SOURCE_BITS[name]) !== 0);
  return names.length === 0 ? 'none' : names.map((name) => SOURCE_LABELS[name]).join(', ');
}

function sourceText(source: SourceReport): string {
  const reason = source.reason === '' ? '' : ` (${source.reason})`;
  switch (source.state) {
    case 'masked-out':
      return 'masked out, not read';
    case 'healthy':
    case 'intermittent':
    case 'startup':
    case 'stalled':
      return `${source.state}, ${creditText(source)}${reason}`;
    case 'failed':
    case 'unavailable':
      return `${source.state}${reason}`;
  }
}

function creditText({ creditBitsPerSecond, secondsToBlock }: SourceReport): string {
  if (creditBitsPerSecond === 0) return 'no credit';
  const block = secondsToBlock === null ? '' : `, a block in ${durationText(secondsToBlock)}`;
  return `${rateText(creditBitsPerSecond)} of credit${block}`;
}

/** The caches behind bit 8, when it is in the mask: level, fill, how long it lasts, and whether anybody feeds them. */
function externalLines({ mask, external }: StatusReport): string[] {
  if ((mask.running & SOURCE_BITS.external) === 0) return [];
  const { memoryBytes, storedBytes, installSeedBytes, runwaySeconds, feedersConnected, storageFailure } =
    external;
  const seed = installSeedBytes > 0 ? `, ${sizeText(installSeedBytes)} of the install seed left` : '';
  const cached = `${sizeText(memoryBytes)} in memory and ${sizeText(storedBytes)} stored${seed}`;
  const runway = runwaySeconds === null ? 'no draw yet' : `lasts ${durationText(runwaySeconds)}`;
  const feeders = `${feedersConnected} ${feedersConnected === 1 ? 'feeder' : 'feeders'}`;
  const idle = feedersConnected > 0 ? `${feeders} connected, yet nothing comes that is credited` : undefined;
  const link = external.link === 'connected' ? `${feeders} connected` : (idle ?? LINK_TEXTS[external.link]);
  const failure = storageFailure === '' ? '' : `; storage failed: ${storageFailure}`;
  const { keyFailure } = external;
  const key = keyFailure === '' ? '' : `; the key of the caches could not be changed: ${keyFailure}`;
  return [`External: ${external.level}, ${cached}, ${runway}; ${link}${failure}${key}`];
}

const LINK_TEXTS = { lost: 'the link is lost', never: 'no feeder since start' } as const;

function troubleLines({ mixer, state, recovery }: StatusReport): string[] {
  const lines: string[] = [];
  if (!mixer.selfTest.passed) lines.push(`Mixer: self-test failed: ${mixer.selfTest.failedTest}`);
  if (state.refused !== '') {
    const advice = isErrorCode(state.refused) ? ` ${ERRORS[state.refused].whatToDo}` : '';
    lines.push(`State: ${state.directory} is refused: ${state.refused}.${advice}`);
  }
  if (state.suspendedBoots !== null)
    lines.push(
      `Seal: suspended for this boot and ${state.suspendedBoots} more. \`entropyctl mixer seal suspend --boots 0\` ends it.`,
    );
  if (recovery.state === 'recovered') lines.push('State: recovered: restart, then rotate');
  if (recovery.state === 'older-copy')
    lines.push('State: an older copy was put back: confirm its feeders, make tokens anew, then rotate');
  if (recovery.state === 'not-backed-up') {
    lines.push(`Recovery key: not backed up. ${EVENTS['recovery.key.not-backed-up'].whatToDo}`);
  }
  return lines;
}
