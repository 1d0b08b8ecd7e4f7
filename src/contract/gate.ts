import { Type, type Static } from 'typebox';
import { GATE_REASONS } from '../base/names.ts';
import { closed, oneOf } from './schema-parts.ts';

/** What is told of the gate, and what its override takes. */

/** How long an override may last: long enough to mend a feeder, short enough that nobody forgets it. */
export const OVERRIDE_SECONDS = { minimum: 10, maximum: 86_400 } as const;

/** Masks an override may name: every one but the default's 0. */
export const OVERRIDE_MASK = { minimum: 1, maximum: 15 } as const;

export const GateReasonSchema = oneOf(...GATE_REASONS);

export const OverrideReportSchema = Type.Object(
  {
    mask: Type.Integer({
      ...OVERRIDE_MASK,
      description: 'Sources in use instead of those of the running mask',
    }),
    untilMs: Type.Integer({ description: 'When it ends by itself, by the wall clock of its beginning' }),
    reason: Type.String(),
    by: Type.String({ description: 'Who ordered it' }),
  },
  closed,
);
export type OverrideReport = Static<typeof OverrideReportSchema>;

export const GateReportSchema = Type.Object(
  {
    state: oneOf('open', 'closed', 'overridden'),
    reason: Type.Union([GateReasonSchema, Type.Null()], {
      description: 'Why it is closed; null unless it is',
    }),
    sinceMs: Type.Integer(),
    /** Open, yet a source of the mask does not do its part; or overridden. */
    degraded: Type.Boolean(),
    whatToDo: Type.String(),
    override: Type.Union([OverrideReportSchema, Type.Null()], {
      description:
        'In force now, else null. The state is `overridden` only while blocks can be extracted under it',
    }),
  },
  closed,
);
export type GateReport = Static<typeof GateReportSchema>;
