import { EntropyError, type ErrorCode } from '../../base/errors.ts';

/** Errors as vAPI writes them: a type of its closed list, and a stack of messages for people. */

export const VAPI_ERROR_TYPES = {
  ERROR: 500,
  INTERNAL_SERVER_ERROR: 500,
  INVALID_ARGUMENT: 400,
  INVALID_REQUEST: 400,
  NOT_FOUND: 404,
  OPERATION_NOT_FOUND: 404,
  SERVICE_UNAVAILABLE: 503,
  UNAUTHENTICATED: 401,
  UNAUTHORIZED: 403,
} as const;
export type VapiErrorType = keyof typeof VAPI_ERROR_TYPES;

export interface VapiMessage {
  readonly id: string;
  readonly default_message: string;
  readonly args: readonly string[];
}

export interface VapiErrorBody {
  readonly error_type: VapiErrorType;
  readonly messages: readonly VapiMessage[];
  /** For programs; none of these errors has any. */
  readonly data: Readonly<Record<string, never>>;
}

/** Ids of messages are this project's: its own error codes, or a short name, under this. */
const MESSAGE_PREFIX = 'entropy-mixer.';

export class VapiError extends Error {
  override readonly name = 'VapiError';
  readonly type: VapiErrorType;
  readonly messages: readonly VapiMessage[];
  /** For the header Retry-After. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    type: VapiErrorType,
    id: string,
    text: string,
    args: readonly string[] = [],
    retryAfterSeconds?: number,
  ) {
    super(text);
    this.type = type;
    this.messages = [{ id: MESSAGE_PREFIX + id, default_message: text, args }];
    this.retryAfterSeconds = retryAfterSeconds;
  }

  get status(): number {
    return VAPI_ERROR_TYPES[this.type];
  }

  get body(): VapiErrorBody {
    return { error_type: this.type, messages: this.messages, data: {} };
  }
}

/** What our own codes are to a client of vAPI; a code that stands in no row is an internal error. */
const TYPE_OF: Partial<Record<ErrorCode, VapiErrorType>> = {
  'credential-wrong': 'UNAUTHENTICATED',
  'credential-missing': 'UNAUTHENTICATED',
  'credential-rate-exceeded': 'SERVICE_UNAVAILABLE',
  'credential-busy': 'SERVICE_UNAVAILABLE',
  'engine-busy': 'SERVICE_UNAVAILABLE',
  'engine-stopped': 'SERVICE_UNAVAILABLE',
  'server-busy': 'SERVICE_UNAVAILABLE',
  'external-disabled': 'ERROR',
  'feeder-replaced': 'SERVICE_UNAVAILABLE',
  'feeder-disabled': 'UNAUTHORIZED',
  'feeder-suspended': 'UNAUTHORIZED',
  'feeder-unauthenticated': 'UNAUTHORIZED',
  'permission-denied': 'UNAUTHORIZED',
  'media-type-unsupported': 'INVALID_REQUEST',
  'payload-too-large': 'INVALID_REQUEST',
  'request-invalid': 'INVALID_REQUEST',
  'route-unknown': 'OPERATION_NOT_FOUND',
  'state-damaged': 'ERROR',
  'state-unwritable': 'ERROR',
};

/** Any error as one of vAPI; undefined when it is none that may be told. */
export function vapiErrorOf(error: unknown): VapiError | undefined {
  if (error instanceof VapiError) return error;
  if (!(error instanceof EntropyError)) return undefined;
  const { code, message, entry, members } = error;
  const retryAfterSeconds =
    typeof members.retryAfterSeconds === 'number' ? members.retryAfterSeconds : undefined;
  return new VapiError(
    TYPE_OF[code] ?? 'INTERNAL_SERVER_ERROR',
    code,
    `${entry.meaning} (${message}) ${entry.whatToDo}`,
    [],
    retryAfterSeconds,
  );
}
