// Which checkpoints are kept.

/**
 * Of some steps, ascending: the first, the last, and between them steps that are as evenly apart as the given ones allow.
 * @param most how many remain at most, 2 or more
 */
export function thinned(steps: readonly number[], most: number): number[] {
  const kept = [...steps]
  while (kept.length > most) {
    const gap = (i: number) => kept[i + 1] - kept[i - 1]
    let least = 1
    for (let i = 2; i < kept.length - 1; i++) if (gap(i) < gap(least)) least = i
    kept.splice(least, 1)
  }
  return kept
}
