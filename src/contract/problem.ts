import { ERRORS, type ErrorCode, type ErrorMembers } from '../base/errors.ts';
import type { Problem } from './outputs.ts';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

const DETAIL_LIMIT_CHARACTERS = 500;

/** RFC 9457 problem details of an error of the table; extra members say what the code alone does not. */
export function problemOf(code: ErrorCode, detail: string, extra: ErrorMembers = {}): Problem {
  const { http, meaning, retryable, whatToDo } = ERRORS[code];
  return {
    ...extra,
    type: 'about:blank',
    title: meaning,
    status: http,
    code,
    detail: detail.slice(0, DETAIL_LIMIT_CHARACTERS),
    retryable,
    whatToDo,
  };
}
