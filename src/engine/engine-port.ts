import { secretBytes } from '../base/bytes.ts';
import { EntropyError, messageOf } from '../base/errors.ts';
import type { Engine } from './engine.ts';
import type {
  EngineCallName,
  EngineCalls,
  EngineMessage,
  EngineRequest,
  ReceiveAnswer,
  ReceivedFrame,
  Refusal,
} from './engine-messages.ts';

/** The end of a message channel that the engine thread holds. What is sent in one turn of the loop goes together, both ways. */
export interface EnginePort {
  post(message: EngineMessage, transfer?: readonly ArrayBuffer[]): void;
  onRequests(listener: (requests: readonly EngineRequest[]) => void): void;
  /** What was posted goes out first. */
  close(): void;
}

/** Longest DRBG output for one request, in bytes. */
const GENERATE_LIMIT_BYTES = 65_536;

/** Answers requests that arrive on a port from an engine, one at a time as they come; `stop` closes the port. */
export function serveEngine(engine: Engine, port: EnginePort, onStopped: () => void = () => undefined): void {
  const serve = async (request: EngineRequest): Promise<void> => {
    await answer(engine, port, request);
    if (request.call !== 'stop') return;
    onStopped();
    port.close();
  };
  port.onRequests((requests) => requests.forEach((request) => void serve(request)));
}

async function answer(engine: Engine, port: EnginePort, request: EngineRequest): Promise<void> {
  try {
    const result = await perform(engine, request);
    const transfer = movedWith(result);
    port.post({ kind: 'answer', id: request.id, answer: result }, transfer);
  } catch (error) {
    port.post({ kind: 'refused', id: request.id, ...refusal(error) });
  }
}

function perform(
  engine: Engine,
  request: EngineRequest,
): Promise<EngineCalls[EngineCallName]['answer']> | EngineCalls[EngineCallName]['answer'] {
  switch (request.call) {
    case 'report':
      return engine.report();
    case 'selfTest':
      return engine.selfTest();
    case 'testSource':
      return engine.testSource(...request.parameters);
    case 'restoreSource':
      return engine.restoreSource(...request.parameters);
    case 'overrideGate':
      return engine.overrideGate(...request.parameters);
    case 'restoreGate':
      return engine.restoreGate(...request.parameters);
    case 'configureFeed':
      engine.configureFeed(...request.parameters);
      return null;
    case 'generate':
      return filled(request.parameters[0], (target) => engine.generate(target));
    case 'serve': {
      const [bytes, fresh] = request.parameters;
      return filled(bytes, (target) => engine.serve(target, fresh));
    }
    case 'servableBits':
      return engine.served.availableBits();
    case 'configureServed':
      engine.served.configure({ bitsPerSecond: request.parameters[0] });
      return null;
    case 'absorb':
      engine.external.absorb(...request.parameters);
      return null;
    case 'receive':
      return receive(engine, ...request.parameters);
    case 'resetDoor':
      engine.external.resetDoor(...request.parameters);
      return null;
    case 'renewDoor':
      engine.external.renewDoor(...request.parameters);
      return null;
    case 'voidFeeder':
      engine.external.voidFeeder(...request.parameters);
      return null;
    case 'prepareCaches':
      return engine.external.prepareSizes(...request.parameters).then(() => null);
    case 'settleCaches':
      engine.external.settleSizes(...request.parameters);
      return null;
    case 'spentSegments':
      return engine.external.spentSegments;
    case 'rekeyCaches':
      return engine.external.rekey(...request.parameters).then(() => null);
    case 'stop':
      return engine.stop().then(() => null);
  }
}

function filled(bytes: number, fill: (target: Uint8Array) => void): Uint8Array {
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > GENERATE_LIMIT_BYTES) {
    throw new RangeError(`cannot generate ${bytes} bytes`);
  }
  const target = secretBytes(bytes);
  fill(target);
  return target;
}

async function receive(engine: Engine, frame: ReceivedFrame): Promise<ReceiveAnswer> {
  return { taken: await engine.external.receive(frame), buffer: frame.payload.buffer };
}

/** Buffers that go with an answer are moved, not copied: random bytes leave no second copy behind in this thread. */
function movedWith(answer: EngineCalls[EngineCallName]['answer']): ArrayBuffer[] {
  if (answer instanceof Uint8Array) return [answer.buffer as ArrayBuffer];
  return typeof answer === 'object' && answer !== null && 'buffer' in answer ? [answer.buffer] : [];
}

/** What may leave the thread of an error. */
export function refusal(error: unknown): Refusal {
  if (error instanceof EntropyError)
    return { code: error.code, detail: error.message, members: error.members };
  return { code: 'internal', detail: messageOf(error), members: {} };
}
