import { EntropyError } from '../base/errors.ts';
import {
  isInteger,
  MAXIMUM_FEEDER_ID,
  MAXIMUM_FEEDERS,
  recordFrom,
  type FeederRecord,
} from './feeder-record.ts';
import { decodeJsonDocument, encodeJsonDocument } from './json-document.ts';

/** The document of all feeders but their keys: JSON, with the id that the next one gets. */

export interface FeederRegister {
  /** Above every id that was ever given; 2^32 when all were. */
  readonly nextId: number;
  readonly feeders: readonly FeederRecord[];
}

const NAME = 'feeders.json';
const VERSION = 1;

export function encodeRegister(register: FeederRegister): Buffer {
  return encodeJsonDocument(VERSION, register);
}

/** Throws `state-damaged`, `state-version-newer`. */
export function decodeRegister(document: Buffer): FeederRegister {
  const { nextId, feeders } = decodeJsonDocument(NAME, VERSION, document);
  if (!isInteger(nextId, 1, MAXIMUM_FEEDER_ID + 1) || !Array.isArray(feeders))
    throw damaged('is not a list of feeders');
  const records = feeders.map(recordFrom).filter((record) => record !== undefined);
  if (records.length !== feeders.length) throw damaged('holds a feeder that does not fit its schema');
  if (records.length > MAXIMUM_FEEDERS || !isConsistent(records, nextId))
    throw damaged('gives an id, a door or a name twice');
  return { nextId, feeders: records };
}

/** The lowest door that no feeder has. */
export function freeDoor(feeders: readonly FeederRecord[]): number {
  const taken = new Set(feeders.map(({ door }) => door));
  let door = 0;
  while (taken.has(door)) door++;
  return door;
}

function isConsistent(records: readonly FeederRecord[], nextId: number): boolean {
  const distinct = (values: readonly unknown[]): boolean => new Set(values).size === values.length;
  return (
    distinct(records.map(({ id }) => id)) &&
    distinct(records.map(({ door }) => door)) &&
    distinct(records.map(({ name }) => name)) &&
    records.every(({ id }) => id < nextId)
  );
}

function damaged(what: string): EntropyError {
  return new EntropyError('state-damaged', `${NAME} ${what}`);
}
