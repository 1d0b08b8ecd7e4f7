import { Type } from 'typebox';
import { bare, route } from './route.ts';
import { closed } from './schema-parts.ts';
import { HOST_NAME_TEXT, ZeroizeReportSchema } from './zeroize.ts';

/** The row of the table of routes that destroys the state. */
export const ZEROIZE_ROUTES = {
  zeroize: route(
    'POST',
    '/v1/zeroize',
    'local-change',
    'Destroy keys, configuration, caches and the mark in the TPM, and end the daemon; the body repeats the name of the host. Cannot be undone',
    {
      ...bare,
      body: Type.Object({ host: Type.String({ ...HOST_NAME_TEXT }) }, closed),
      answer: ZeroizeReportSchema,
      errors: ['zeroize-unconfirmed'],
    },
  ),
} as const;
