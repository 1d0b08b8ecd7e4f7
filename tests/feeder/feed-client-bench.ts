import { randomFillSync } from 'node:crypto';
import * as assert from 'uvu/assert';
import type { FeedClientEvent } from '../../src/feeder/feed-client-events.ts';
import { FeedClient } from '../../src/feeder/feed-client.ts';
import type { Enrolment } from '../../src/protocol/enrolment-file.ts';
import { ReceiptVerifier } from '../../src/protocol/receipt-verifier.ts';
import { FakeClock } from '../fakes/fake-clock.ts';
import { FeedHost, type FeedHostOptions } from './feed-host.ts';
import { until } from './until.ts';

/** A feed client and a host for it, which does as it is told. */

export interface Feed {
  readonly host: FeedHost;
  readonly client: FeedClient;
  readonly clock: FakeClock;
  readonly events: FeedClientEvent[];
  readonly records: Buffer[];
}

/** A host and a client for one test; time stands still unless the test moves it. */
export async function withFeed(
  use: (feed: Feed) => Promise<void>,
  options: FeedHostOptions = {},
  alter: (enrolment: Enrolment) => Enrolment = (enrolment) => enrolment,
): Promise<void> {
  const host = await FeedHost.open(options);
  const clock = new FakeClock();
  const events: FeedClientEvent[] = [];
  const records: Buffer[] = [];
  const client = new FeedClient(alter(host.enrolment), {
    clock,
    random: (target) => void randomFillSync(target),
    observe: (event) => events.push(event),
    keepReceipt: (record) => records.push(Buffer.from(record)),
  });
  try {
    await use({ host, client, clock, events, records });
  } finally {
    await host.close();
    await until(() => true);
    const closing = client.close();
    await clock.advance(60_000);
    await closing;
    assert.is(clock.pendingTimers, 0, 'no timer is left');
  }
}

/** What a promise does, without waiting for it. */
export function watched<T>(work: Promise<T>): { value?: T; error?: Error } {
  const outcome: { value?: T; error?: Error } = {};
  work.then(
    (value) => (outcome.value = value),
    (error: unknown) => (outcome.error = error as Error),
  );
  return outcome;
}

/** What the records that were kept prove, by the enrolment alone. */
export function summaryOf(
  host: FeedHost,
  records: readonly Buffer[],
): ReturnType<ReceiptVerifier['summary']> {
  const verifier = new ReceiptVerifier(host.enrolment);
  for (const record of records) verifier.add(record);
  return verifier.summary();
}
