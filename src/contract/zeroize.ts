import { Type, type Static } from 'typebox';
import type { Peer } from './control-service.ts';
import { closed, oneOf } from './schema-parts.ts';

/** What is left of a state after it was destroyed, part by part. */

export const ZEROIZE_OUTCOMES = ['destroyed', 'absent', 'failed'] as const;

export const ZeroizePartSchema = Type.Object(
  {
    part: Type.String({
      description: 'What it is: a path below the state directory, or the NV index of the TPM',
    }),
    outcome: oneOf(...ZEROIZE_OUTCOMES),
    because: Type.String({ description: 'Why it failed; empty when it did not' }),
  },
  closed,
);
export type ZeroizePart = Static<typeof ZeroizePartSchema>;

export const ZeroizeReportSchema = Type.Object(
  {
    complete: Type.Boolean({ description: 'Nothing failed' }),
    parts: Type.Array(ZeroizePartSchema),
  },
  closed,
);
export type ZeroizeReport = Static<typeof ZeroizeReportSchema>;

/** What destroys the state of a running daemon. */
export interface ZeroizeControl {
  /** Nothing is done unless the name is this host's. What is answered twice was done once. */
  zeroize(hostName: string, peer: Peer): Promise<ZeroizeReport>;
  /** The answer is sent: ends the process. */
  end(): void;
}

/** A host name as it may be typed. */
export const HOST_NAME_TEXT = { minLength: 1, maxLength: 255 } as const;

/** In the state directory from then on: no daemon starts beside it. */
export const ZEROIZED_MARKER = 'ZEROIZED';
