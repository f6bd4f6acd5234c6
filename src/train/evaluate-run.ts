// Evaluation of a run on any data in the form that its family is trained on.

import { firstOf } from '../evaluate/index.ts'
import type { FamilyName } from '../models/index.ts'
import { objectiveOf } from './objectives/families.ts'
import { openRunData, type Run } from './run.ts'

/**
 * The measures that are recorded during training, on all examples of some data: losses and, depending on the family, recall at 1 in
 * both directions, the accuracy of captions, or the accuracy of classes.
 * @param data images with captions or labels, in the form that the run was trained on
 * @throws DataError naming what is wrong with the data
 */
export async function evaluateRun<F extends FamilyName>(
  run: Run<F>,
  data: string,
): Promise<Readonly<Record<string, number>>> {
  const { model, config, ...naming } = run as unknown as Run<FamilyName>
  const { train } = await openRunData({ config: { ...config, data, validation: 0 } })
  const source = 'all' in train ? await train.all() : train
  return { ...(await objectiveOf(model, config, naming).evaluate?.(firstOf(source, source.length))) }
}
