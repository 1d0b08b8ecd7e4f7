const MAXIMUM_SUGGESTION_DISTANCE = 3;
const MAXIMUM_COMPARED_CHARACTERS = 64;

/** `. Did you mean status?`, or nothing when no candidate is near. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const compared = word.slice(0, MAXIMUM_COMPARED_CHARACTERS);
  const near = candidates
    .map((candidate) => ({ candidate, distance: editDistance(compared, candidate) }))
    .filter(
      ({ candidate, distance }) => distance <= Math.min(MAXIMUM_SUGGESTION_DISTANCE, candidate.length / 2),
    )
    .sort((a, b) => a.distance - b.distance)[0];
  return near === undefined ? '' : `. Did you mean ${near.candidate}?`;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
