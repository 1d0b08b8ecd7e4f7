/**
 * What a shape is: the form in which a command answers. A field's machine name (JSON, XML, CSV, keyvalue) is its label without
 * spaces and punctuation, as esxcli has it; a label therefore ends in the unit of its quantity.
 */

export type FieldType = 'string' | 'integer' | 'number' | 'boolean';

export interface FieldEntry {
  /** Name of the value in the row that a view makes. */
  readonly key: string;
  readonly label: string;
  readonly type: FieldType;
  /** What people read where there is no value; machines get null or nothing. */
  readonly absent?: string;
}

export interface OutputShape {
  /** Name of the structure, for keyvalue and XML. */
  readonly struct: string;
  readonly kind: 'object' | 'list';
  /** How people see it: `Label: value` lines, a table, or the form of its own that `mixer status` has. */
  readonly hint: 'simple' | 'table' | 'status';
  /** `Label: value` lines begin at the margin, not three spaces in. */
  readonly flush?: true;
  readonly fields: readonly FieldEntry[];
  /** Keys of the columns of the table, where it does not show every field. */
  readonly tableColumns?: readonly string[];
  /** One list of structures inside the object. */
  readonly nested?: { readonly key: string; readonly label: string; readonly shape: OutputShape };
}

/** Label to machine name: `Credit Bits Per Second` is `CreditBitsPerSecond`. */
export function machineName(label: string): string {
  return label.replaceAll(/[^A-Za-z0-9]/g, '');
}

export function text(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'string', absent);
}

export function integer(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'integer', absent);
}

export function number(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'number', absent);
}

export function truth(key: string, label: string, absent?: string): FieldEntry {
  return field(key, label, 'boolean', absent);
}

function field(key: string, label: string, type: FieldType, absent?: string): FieldEntry {
  return absent === undefined ? { key, label, type } : { key, label, type, absent };
}
