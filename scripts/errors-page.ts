/**
 * Writes docs/errors.md from the tables of errors and exit codes.
 *
 *   node --import tsx scripts/errors-page.ts           writes it
 *   node --import tsx scripts/errors-page.ts --check   exits 1 when it is another
 */
import { ERRORS, isErrorCode, type ErrorEntry } from '../src/base/errors.ts';
import { EXIT_CODES } from '../src/contract/exit-codes.ts';
import { settlePage } from './made-page.ts';

settlePage('errors', errorsPage(), 'the tables');

function errorsPage(): string {
  const codes = Object.keys(ERRORS).filter(isErrorCode).sort();
  const exits = EXIT_CODES.map(({ code, meaning }) => `- \`${code}\`: ${meaning}`);
  return [
    '# Errors',
    '',
    'Made by `scripts/errors-page.ts` from `src/base/error-table.ts`; change that, not this. `entropyctl mixer explain CODE` tells the same on',
    'the host. Codes are stable. Over HTTP an error is a problem document (RFC 9457) with the code in `code`.',
    '',
    '## Exit codes of the programs',
    '',
    ...exits,
    '',
    '## Codes',
    '',
    codes.map((code) => entryText(code, ERRORS[code])).join('\n\n'),
    '',
  ].join('\n');
}

function entryText(
  code: string,
  { http, webSocketClose, exit, retryable, meaning, whatToDo }: ErrorEntry,
): string {
  const numbers = `HTTP ${http}, WebSocket ${webSocketClose}, exit ${exit}${retryable ? ', may be retried' : ''}.`;
  return `### ${code}\n\n${meaning} ${whatToDo}\n\n${numbers}`;
}
