import { delay, type Clock } from '../base/clock.ts';
import { EntropyError, EXIT, isEntropyError } from '../base/errors.ts';
import { MS_PER_SECOND } from '../base/units.ts';
import type { SourceReport, StatusReport } from '../contract/outputs.ts';
import { ROUTES } from '../contract/routes.ts';
import type { OutputShape } from '../contract/shape-entry.ts';
import { SHAPES } from '../contract/shapes.ts';
import {
  accountRow,
  createToken,
  permissionRow,
  removeAccount,
  sendPassword,
  setRole,
  tokenRow,
} from './access-actions.ts';
import { numberOf, optionalNumberOf, succeeded, type Answer, type Surroundings } from './answer.ts';
import type { Invocation } from './command-line.ts';
import type { ControlClient } from './control-client.ts';
import { completion } from './completion.ts';
import {
  applyConfiguration,
  changeConfiguration,
  exportConfiguration,
  listConfiguration,
} from './configuration-actions.ts';
import { changeEncryption, checkSeal, encryption, suspendSeal } from './encryption-actions.ts';
import { changeOf, entropydSettings } from './entropyd-actions.ts';
import { CACHES_NOT_OPEN, externalRow, feederRow, installSeedRow } from './external-rows.ts';
import { enrollFeeder, rotateFeeder } from './feeder-actions.ts';
import { kernelChangeOf, kernelSettings } from './kernel-actions.ts';
import { zeroize } from './zeroize-actions.ts';
import { removePassphrase, setPassphrase } from './passphrase-actions.ts';
import { showReceipts, verifyReceipts } from './receipt-actions.ts';
import { escrowRecovery, recoveryKey, rotateRecovery } from './recovery-actions.ts';
import * as rows from './rows.ts';
import { statusText } from './status-view.ts';
import { suggestion } from './suggestion.ts';
import { selfSigned } from './tls-actions.ts';

/** Runs a command that ends by itself. Throws what the daemon or the way to it refuses, as an EntropyError. */
export async function answerOf(invocation: Invocation, surroundings: Surroundings): Promise<Answer> {
  const { command, argument, options } = invocation;
  const { client, clock } = surroundings;
  const name = argument ?? '';
  switch (command) {
    case 'status': {
      const report = await client.call(ROUTES.status);
      return {
        ...succeeded(invocation, rows.statusRow(report)),
        text: statusText(report),
        exit: exitOf(report),
      };
    }
    case 'sources':
      return succeeded(invocation, ...(await client.call(ROUTES.sources)).map(rows.sourceRow));
    case 'testSource': {
      const report = await client.call(ROUTES.testSource, { params: { name } });
      return { ...succeeded(invocation, rows.sourceRow(report)), exit: testExitOf(report) };
    }
    case 'restoreSource': {
      const body = { reason: options.get('reason') };
      return succeeded(
        invocation,
        rows.sourceRow(await client.call(ROUTES.restoreSource, { params: { name }, body })),
      );
    }
    case 'overrideGate': {
      const body = {
        mask: numberOf(invocation, 'mask'),
        seconds: numberOf(invocation, 'for'),
        reason: options.get('reason'),
      };
      return succeeded(invocation, rows.gateRow(await client.call(ROUTES.overrideGate, { body })));
    }
    case 'restoreGate':
      return succeeded(invocation, rows.gateRow(await client.call(ROUTES.restoreGate)));
    case 'ledger': {
      const query = { limit: numberOf(invocation, 'limit') };
      return succeeded(
        invocation,
        ...(await client.call(ROUTES.ledger, { query })).records.map(rows.feedRow),
      );
    }
    case 'ledgerTotals': {
      const { totals } = await client.call(ROUTES.ledger, { query: { limit: 1 } });
      return succeeded(invocation, rows.ledgerTotalsRow(totals));
    }
    case 'events': {
      const query = {
        after: optionalNumberOf(invocation, 'after') ?? 0,
        limit: numberOf(invocation, 'limit'),
      };
      return succeeded(
        invocation,
        ...(await client.call(ROUTES.events, { query })).records.map(rows.eventRow),
      );
    }
    case 'selfTest': {
      const report = await client.call(ROUTES.selfTest);
      return {
        ...succeeded(invocation, rows.selfTestRow(report)),
        exit: report.passed ? EXIT.ok : EXIT.integrity,
      };
    }
    case 'config':
      return listConfiguration(invocation, surroundings);
    case 'exportConfiguration':
      return exportConfiguration(surroundings);
    case 'applyConfiguration':
      return applyConfiguration(invocation, surroundings);
    case 'encryption':
      return encryption(invocation, surroundings);
    case 'changeEncryption':
      return changeEncryption(invocation, surroundings);
    case 'checkSeal':
      return checkSeal(invocation, surroundings);
    case 'suspendSeal':
      return suspendSeal(invocation, surroundings);
    case 'zeroize':
      return zeroize(invocation, surroundings);
    case 'setPassphrase':
      return setPassphrase(invocation, surroundings);
    case 'removePassphrase':
      return removePassphrase(surroundings);
    case 'kernelSettings':
      return kernelSettings(invocation, surroundings);
    case 'entropydSettings':
      return entropydSettings(invocation, surroundings);
    case 'setEntropydSettings':
      return changeConfiguration(client, changeOf(invocation));
    case 'setKernelSetting':
      return changeConfiguration(client, kernelChangeOf(invocation));
    case 'waitReady':
      await waitReady(client, clock, numberOf(invocation, 'timeout') * MS_PER_SECOND);
      return { output: null, exit: EXIT.ok };
    case 'installSeed':
      return succeeded(invocation, installSeedRow(await client.call(ROUTES.installSeed)));
    case 'external':
      return externalAnswer(invocation, client);
    case 'feeders':
      return succeeded(invocation, ...(await client.call(ROUTES.feeders)).map(feederRow));
    case 'disableFeeder':
    case 'enableFeeder':
    case 'revokeFeeder':
      return succeeded(invocation, feederRow(await client.call(ROUTES[command], { params: { name } })));
    case 'enrollFeeder':
      return enrollFeeder(invocation, surroundings);
    case 'rotateFeeder':
      return rotateFeeder(invocation, surroundings);
    case 'createToken':
      return createToken(invocation, surroundings);
    case 'tokens':
      return succeeded(invocation, ...(await client.call(ROUTES.tokens)).map(tokenRow));
    case 'revokeToken':
      return succeeded(invocation, tokenRow(await client.call(ROUTES.revokeToken, { params: { name } })));
    case 'addAccount':
    case 'setPassword':
      return sendPassword(invocation, command, surroundings);
    case 'removeAccount':
      return removeAccount(invocation, surroundings);
    case 'setRole':
      return setRole(invocation, surroundings);
    case 'accounts':
      return succeeded(invocation, ...(await client.call(ROUTES.accounts)).map(accountRow));
    case 'permissions':
      return succeeded(invocation, ...(await client.call(ROUTES.accounts)).map(permissionRow));
    case 'recoveryKey':
      return recoveryKey(invocation, surroundings);
    case 'rotateRecovery':
      return rotateRecovery(surroundings);
    case 'escrowRecovery':
      return escrowRecovery(invocation, surroundings);
    case 'acknowledgeRecovery':
    case 'backup':
      await client.call(ROUTES[command]);
      return { output: null, exit: EXIT.ok };
    case 'receiptKey':
      return succeeded(invocation, { ...(await client.call(ROUTES.receiptKey)) });
    case 'showReceipts':
      return showReceipts(invocation, surroundings);
    case 'verifyReceipts':
      return verifyReceipts(invocation, surroundings);
    case 'completion':
      return completion(invocation);
    case 'selfSigned':
      return selfSigned(invocation, surroundings);
    case 'explain':
      return explanation(argument);
  }
}

function exitOf({ gate }: StatusReport): number {
  if (gate.state === 'closed') return EXIT.gateClosed;
  return gate.degraded || gate.state === 'overridden' ? EXIT.degraded : EXIT.ok;
}

function testExitOf({ state }: SourceReport): number {
  return state === 'healthy' || state === 'startup' ? EXIT.ok : EXIT.failed;
}

const READY_POLL_MS = 250;
const READY_CALL_TIMEOUT_MS = 5_000;

async function externalAnswer(invocation: Invocation, client: ControlClient): Promise<Answer> {
  const report = await client.call(ROUTES.external);
  const answer = succeeded(invocation, externalRow(report));
  return report.enabled ? answer : { ...answer, note: CACHES_NOT_OPEN };
}

/** Asks until the gate is open; a daemon that is not there yet is waited for as well. */
async function waitReady(client: ControlClient, clock: Clock, timeoutMs: number): Promise<void> {
  const untilMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    try {
      await client.call(ROUTES.ready, { timeoutMs: READY_CALL_TIMEOUT_MS });
      return;
    } catch (error) {
      if (!isEntropyError(error, 'gate-closed', 'daemon-unreachable')) throw error;
      if (clock.monotonicMs() + READY_POLL_MS > untilMs) throw error;
    }
    await delay(clock, READY_POLL_MS);
  }
}

function explanation(code: string | undefined): Answer {
  const found = rows.explanationRows(code);
  if (found === undefined) {
    throw new EntropyError(
      'usage',
      `there is no error or event ${code ?? ''}${suggestion(code ?? '', rows.EXPLAINED)}`,
    );
  }
  const row = code === undefined ? undefined : found[0];
  if (row === undefined) return { output: { shape: SHAPES.explanation, rows: found }, exit: EXIT.ok };
  // One of them is an object, and has no fields that only the other kind has.
  const fields = SHAPES.explanation.fields.filter(({ key }) => row[key] !== null);
  const shape: OutputShape = { struct: SHAPES.explanation.struct, kind: 'object', hint: 'simple', fields };
  return { output: { shape, rows: [row] }, exit: EXIT.ok };
}
