// The quality of classification: the share of examples whose class is the best one or one of the best five, of a classifier as of
// zero-shot classification.

/** The class of an example by its number, or the numbers of several. */
export type ClassLabel = number | readonly number[]

/** How well classes are predicted. */
export interface ClassScores {
  /** share of examples for which a right class has the largest score */
  readonly accuracy: number
  /**
   * share of examples for which a right class has one of the five largest scores; absent for five classes or fewer, for which
   * it is 1 by definition
   */
  readonly top5?: number
  /** mean of the accuracies of the classes that have examples; differs from `accuracy` if some have more examples than others */
  readonly meanPerClass: number
  /** for each class that has examples: its name, their number, and the share of them that is right */
  readonly perClass: readonly { readonly class: string; readonly count: number; readonly accuracy: number }[]
  /**
   * number of examples, [true class][predicted class]; an example of several classes is in the row of the predicted one if that is
   * right, else of the first
   */
  readonly confusion: readonly (readonly number[])[]
  /** the number of every example's predicted class */
  readonly predictions: Int32Array
  /** place of every example's best right class, from 1 */
  readonly ranks: Int32Array
}

/** An example's scores, one for each class. */
export interface ClassScoreRow {
  /** number of the example, from 0 */
  readonly row: number
  /** one for each class; higher is more likely */
  readonly scores: ArrayLike<number>
}

/**
 * Compares the scores of classes with the classes that examples have. An example may have several classes: it is right if one of them
 * is predicted, and it counts for the accuracy of each of them. A wrong class whose score equals that of the best right one is placed
 * before it, so a model that gives equal scores is right for no example.
 * @param call the function's name in an error
 * @param given.rows the scores of every example once, in any order
 * @throws RangeError for a label that is not one of the classes, and for an example without a label
 */
export async function scoreClasses(
  call: string,
  given: {
    readonly classes: readonly string[]
    /** of every example */
    readonly labels: ArrayLike<ClassLabel>
    readonly rows: Iterable<ClassScoreRow> | AsyncIterable<ClassScoreRow>
  },
): Promise<ClassScores> {
  const { classes, labels, rows } = given
  const { length } = labels
  const own = Array.from({ length }, (_, i) => checkedLabels(call, labels[i], i, classes.length))
  const predictions = new Int32Array(length)
  const ranks = new Int32Array(length)
  for await (const { row, scores } of rows) {
    const right = new Set(own[row])
    const best = Math.max(...own[row].map(label => scores[label]))
    let [rank, predicted] = [1, own[row].find(label => scores[label] === best) as number]
    for (let i = 0; i < classes.length; i++) {
      if (right.has(i) || scores[i] < best) continue
      if (rank === 1 || scores[i] > scores[predicted]) predicted = i
      rank++
    }
    ranks[row] = rank
    predictions[row] = predicted
  }
  const within = (k: number, some: Iterable<number> = ranks) => share(Array.from(some, rank => rank <= k))
  const confusion = classes.map(() => classes.map(() => 0))
  const ranksOf: number[][] = classes.map(() => [])
  for (const [i, mine] of own.entries()) {
    confusion[ranks[i] === 1 ? predictions[i] : mine[0]][predictions[i]]++
    for (const label of mine) ranksOf[label].push(ranks[i])
  }
  const perClass = classes.map((name, i) => ({
    class: name,
    count: ranksOf[i].length,
    accuracy: within(1, ranksOf[i]),
  }))
  const present = perClass.filter(({ count }) => count > 0)
  return {
    accuracy: within(1),
    ...(classes.length > 5 && { top5: within(5) }),
    meanPerClass: present.reduce((sum, { accuracy }) => sum + accuracy, 0) / Math.max(1, present.length),
    perClass,
    confusion,
    predictions,
    ranks,
  }
}

/** The share that is true, 0 of none. */
const share = (each: readonly boolean[]): number => each.filter(Boolean).length / Math.max(1, each.length)

function checkedLabels(call: string, given: ClassLabel, index: number, classes: number): readonly number[] {
  const own = typeof given === 'number' ? [given] : [...new Set(given)]
  if (own.length === 0) throw new RangeError(`${call}: image ${index} has no label`)
  for (const label of own)
    if (!Number.isInteger(label) || label < 0 || label >= classes)
      throw new RangeError(`${call}: label ${label} of image ${index} is not one of ${classes} classes`)
  return own
}
