import { EntropyError, messageOf } from '../base/errors.ts';
import type { Engine } from './engine.ts';
import type { EngineCallName, EngineCalls, EngineMessage, EngineRequest } from './engine-messages.ts';

/** The end of a message channel that the engine thread holds. */
export interface EnginePort {
  postMessage(message: EngineMessage, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (request: EngineRequest) => void): unknown;
  close(): void;
}

/** Longest DRBG output for one request, in bytes. */
const GENERATE_LIMIT_BYTES = 65_536;

/** Answers requests that arrive on a port from an engine, one at a time as they come; `stop` closes the port. */
export function serveEngine(engine: Engine, port: EnginePort): void {
  port.on('message', (request) => {
    void answer(engine, port, request);
  });
}

async function answer(engine: Engine, port: EnginePort, request: EngineRequest): Promise<void> {
  try {
    const result = await perform(engine, request);
    // Random bytes are moved, not copied: no second copy stays behind in this thread.
    const transfer = result instanceof Uint8Array ? [result.buffer as ArrayBuffer] : [];
    port.postMessage({ kind: 'answer', id: request.id, answer: result }, transfer);
  } catch (error) {
    port.postMessage({ kind: 'refused', id: request.id, ...refusal(error) });
  }
  if (request.call === 'stop') port.close();
}

function perform(
  engine: Engine,
  request: EngineRequest,
): Promise<null> | EngineCalls[EngineCallName]['answer'] {
  switch (request.call) {
    case 'report':
      return engine.report();
    case 'selfTest':
      return engine.selfTest();
    case 'testSource':
      return engine.testSource(...request.parameters);
    case 'restoreSource':
      return engine.restoreSource(...request.parameters);
    case 'configureFeed':
      engine.configureFeed(...request.parameters);
      return null;
    case 'generate':
      return generate(engine, ...request.parameters);
    case 'stop':
      return engine.stop().then(() => null);
  }
}

function generate(engine: Engine, bytes: number): Uint8Array {
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > GENERATE_LIMIT_BYTES) {
    throw new RangeError(`cannot generate ${bytes} bytes`);
  }
  const target = new Uint8Array(bytes);
  engine.generate(target);
  return target;
}

/** What may leave the thread of an error: a code and a detail. */
export function refusal(error: unknown): Pick<EngineMessage & { kind: 'refused' }, 'code' | 'detail'> {
  if (error instanceof EntropyError) return { code: error.code, detail: error.message };
  return { code: 'internal', detail: messageOf(error) };
}
