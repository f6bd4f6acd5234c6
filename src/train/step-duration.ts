// How long a step of training takes, for several configurations at once. Their steps are made in turn, so that a machine that
// becomes slower or faster meanwhile changes all of them alike. Each round has another order: with a fixed order, work that comes
// once in a round, such as a garbage collection, is always counted for the same configuration.

import { device, Generator } from '../tensor/index.ts'
import type { RunConfig } from './config.ts'
import { RunFolder } from './run-folder.ts'
import { nameNumbers } from './setup.ts'
import { SkippedSamples } from './skipped.ts'
import { fresh } from './start.ts'
import { type Inspection, update } from './step.ts'
import { openTrainingData, prepare } from './training.ts'

/** Steps before the measurement, in which memory is allocated and code is compiled. */
const WARM_UP = 5

const unchecked: Inspection = async () => 0

/**
 * The duration of a step of each configuration in seconds, without the wait for its batch and without checks of the gradient. It is
 * the lower quartile of all rounds, because whatever else the machine does only makes a step longer. Nothing is written.
 * @param rounds number of measured steps of each
 * @param signal aborting stops between steps and throws the signal's reason
 */
export async function stepDurations(
  configs: readonly RunConfig[],
  rounds: number,
  signal?: AbortSignal,
): Promise<number[]> {
  const runs = []
  for (const given of configs) {
    await device.use(given.device)
    const skipped = new SkippedSamples(undefined)
    const data = await openTrainingData(given, skipped)
    const { config, naming } = await nameNumbers(given, data.train)
    const training = prepare(new RunFolder(''), config, naming, data, skipped)
    const { objective, optimizer, model } = await fresh(training)
    model.train()
    const { schedule, batches } = training
    const learner = {
      objective,
      optimizer,
      schedule,
      maximumNorm: config.clipNorm ?? undefined,
      parts: 1,
      inBackward: config.optimizer.inBackward,
    }
    runs.push({ learner, batches, seconds: [] as number[] })
  }
  const order = new Generator(0)
  for (let step = 1; step <= WARM_UP + rounds; step++)
    for (const index of order.permutation(runs.length)) {
      const { learner, batches, seconds } = runs[index]
      signal?.throwIfAborted()
      const batch = await batches.next()
      const began = performance.now()
      await update(learner, batch, step, unchecked)
      if (step > WARM_UP) seconds.push((performance.now() - began) / 1000)
    }
  return runs.map(({ seconds }) => seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 4)])
}
