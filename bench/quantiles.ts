/** The value below which this share of the values lies, from 0 to 1; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 1 / 2);
}
