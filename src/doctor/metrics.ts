// Examines the metrics of a training for signs of failing training. Single values are noisy, so means and medians over a share of
// the steps are compared.

import {
  describeCheck,
  type EvaluationMetrics,
  type GuardMetrics,
  type MetricsLine,
  type OptimizerName,
  type StepMetrics,
} from '../train/index.ts'
import { counted, type DoctorFinding, digits, findingsOf, lowerRate, mean, median, share, some } from './finding.ts'
import { runWords, type Training } from './training.ts'

const finding = findingsOf('metrics')

/** Fewer steps are not enough to judge a training. */
export const ENOUGH = 100

/** Examines the metrics of a training. @param folder the folder of the metrics */
export function examineMetrics(lines: readonly MetricsLine[], config: Training, folder: string): DoctorFinding[] {
  const steps = lines.filter((line): line is StepMetrics => line.kind === 'step')
  const guards = lines.filter((line): line is GuardMetrics => line.kind === 'guard')
  const evaluations = lines.filter((line): line is EvaluationMetrics => line.kind === 'evaluation')
  const bad = [...notFinite(steps, config), ...wrongGradients(guards, folder, config)]
  if (bad.length > 0 || steps.length < ENOUGH) return bad
  const found = [...loss(steps, config), ...norms(steps, config), ...temperature(steps, config)]
  return [...learningRate(steps, config, found.length > 0), ...found, ...overfitting(evaluations, config)]
}

const wordsOf = ({ words = runWords }: Training) => words

/** Ten times the largest usual learning rates. Few models can be trained with more. */
const HIGH: Readonly<Record<OptimizerName, number>> = {
  adamw: 0.03,
  adam: 0.03,
  adafactor: 0.03,
  lion: 0.01,
  rmsprop: 0.1,
  adagrad: 1,
  muon: 0.5,
  sgd: 3,
}

/** The learning rate above which others are too high for the optimizer; infinite if the optimizer is not known. */
const highOf = ({ optimizer: { name } }: Training): number =>
  name === undefined ? Number.POSITIVE_INFINITY : HIGH[name]

const isHigh = (config: Training): boolean => (config.optimizer.learningRate ?? 0) > highOf(config)

/** The first step with more than twice the loss of the untrained model, which noise between batches does not explain. */
const leap = (steps: readonly StepMetrics[]): StepMetrics | undefined =>
  steps.find(({ losses: { total } }) => total > 2 * steps[0].losses.total && total > steps[0].losses.total + 1)

/** Whether the updates were too large for the model. Other findings are then probably consequences. */
const isTooFast = (steps: readonly StepMetrics[], config: Training): boolean =>
  isHigh(config) || leap(steps) !== undefined

/** The learning rate to use if updates were too large. */
function slower(config: Training): string {
  const { learningRate } = config.optimizer
  if (isHigh(config)) return `a learning rate of ${highOf(config) / 10} or less`
  return learningRate === undefined
    ? 'a learning rate of a tenth or less'
    : `a learning rate of a tenth of ${digits(learningRate)} or less`
}

/** @param isTroubled whether there are other findings: a high learning rate that does no harm is not reported */
function learningRate(steps: readonly StepMetrics[], config: Training, isTroubled: boolean): DoctorFinding[] {
  const { name, learningRate } = config.optimizer
  const rate = digits(learningRate ?? Number.NaN)
  const leapt = leap(steps)
  if (!leapt && !(isTroubled && isHigh(config))) return []
  const most = steps.reduce((a, b) => (b.losses.total > a.losses.total ? b : a))
  const course = `the loss was ${digits(steps[0].losses.total)} at step ${steps[0].step} and ${digits(most.losses.total)} at step ${most.step}`
  return [
    finding(
      'suspect',
      isHigh(config)
        ? `a learning rate of ${rate} is far above the usual range of ${name}`
        : `the loss jumped far above its initial value${learningRate === undefined ? '' : `, with a learning rate of ${rate}`}`,
      `${isHigh(config) ? `usual values are at most ${highOf(config) / 10}; ` : ''}${course}`,
      `start a new run with ${slower(config)}, or with a longer warm-up: other findings are probably consequences`,
    ),
  ]
}

/** All values of a step, by name. */
const measured = ({ losses: { total, ...named }, gradientNorm, measures }: StepMetrics): [string, number | null][] =>
  Object.entries({ loss: total, ...named, gradientNorm, ...measures })

/** Finds values that are not finite. JSON has no NaN: such values are null in the file. */
function notFinite(steps: readonly StepMetrics[], config: Training): DoctorFinding[] {
  const first = steps.find(step => measured(step).some(([, value]) => !Number.isFinite(value)))
  if (!first) return []
  const bad = measured(first).filter(([, value]) => !Number.isFinite(value))
  return [
    finding(
      'wrong',
      'a recorded value is not finite',
      `step ${first.step}: ${bad.map(([name, value]) => `${name} is ${value ?? 'NaN'}`).join(', ')}`,
      `all later steps are invalid: resume from an earlier checkpoint, with a smaller ${wordsOf(config).clip} or ${lowerRate(config.optimizer.learningRate)}`,
    ),
  ]
}

function wrongGradients(guards: readonly GuardMetrics[], folder: string, config: Training): DoctorFinding[] {
  const bad = guards.filter(({ ok }) => !ok)
  if (bad.length === 0) return []
  return [
    finding(
      'wrong',
      `the guard found a wrong gradient in ${bad.length} of ${counted(guards.length, 'check')}`,
      describeCheck(bad[0], folder).split('\n  ', 2).join('; '),
      wordsOf(config).lookInto(folder, bad[0].file),
    ),
  ]
}

/** Splits a list into consecutive parts of equal length. */
function parts<T>(list: readonly T[], count: number): T[][] {
  return Array.from({ length: count }, (_, i) =>
    list.slice(Math.floor((i * list.length) / count), Math.floor(((i + 1) * list.length) / count)),
  )
}

/** The contrastive loss if all texts of a batch are equally likely. */
const chanceOf = ({ model, batchSize = Number.NaN }: Training): number =>
  Math.log(batchSize) * (model?.loss?.contrastive?.reduction === 'sum' ? 2 : 1)

function loss(steps: readonly StepMetrics[], config: Training): DoctorFinding[] {
  const tenths = parts(steps, 10)
  const of = (name: string) => tenths.map(part => mean(part.map(({ losses }) => losses[name])))
  const total = of('total')
  const [first, last, least] = [total[0], total[9], Math.min(...total)]
  const rates = `the learning rate was ${digits(Math.min(...steps.map(step => step.learningRate)))} to ${digits(Math.max(...steps.map(step => step.learningRate)))}`
  if (last > 0.98 * first || steps[0].losses.total < 0.98 * last)
    return [
      finding(
        'suspect',
        last > 1.1 * first || last > 1.1 * steps[0].losses.total ? 'the loss rises' : 'the loss does not fall',
        `the mean loss is ${digits(first)} over the first tenth of ${steps.length} steps and ${digits(last)} over the last tenth; ${rates}`,
        isTooFast(steps, config)
          ? `first use ${slower(config)}; then check that ${wordsOf(config).belonging}`
          : `first check that the gradients are right and ${wordsOf(config).belonging}; then try a learning rate ten times smaller, and one ten times larger`,
      ),
    ]
  const findings: DoctorFinding[] = []
  if (last > 1.5 * least && last > least + 0.1)
    findings.push(
      finding(
        'suspect',
        'the loss fell and then rose again',
        `means over each tenth of the steps: ${total.map(digits).join(', ')}; ${rates}`,
        `use ${lowerRate(config.optimizer.learningRate)}, a longer warm-up or a smaller ${wordsOf(config).clip}`,
      ),
    )
  const contrastive = 'contrastive' in steps[0].losses ? of('contrastive')[9] : Number.NaN
  const chance = chanceOf(config)
  if ((config.model?.loss?.contrastive?.weight ?? 1) > 0 && chance > 0 && contrastive > 0.95 * chance)
    findings.push(
      finding(
        'suspect',
        'the contrastive loss is no better than guessing',
        `it is ${digits(contrastive)} over the last tenth of the steps; guessing among ${config.batchSize} pairs gives ${digits(chance)}`,
        isTooFast(steps, config)
          ? `first use ${slower(config)}; then check that images and captions are not mixed up`
          : 'check that captions distinguish their images and that images and captions are not mixed up; otherwise use a higher learning rate or a larger batch',
      ),
    )
  const guess = config.classes === undefined ? Number.NaN : Math.log(config.classes)
  const classification = 'classification' in steps[0].losses ? of('classification')[9] : Number.NaN
  if (guess > 0 && classification > 0.95 * guess)
    findings.push(
      finding(
        'suspect',
        'the classification loss is no better than guessing',
        `it is ${digits(classification)} over the last tenth of the steps; guessing among ${config.classes} classes gives ${digits(guess)}`,
        isTooFast(steps, config)
          ? `first use ${slower(config)}; then check that ${wordsOf(config).belonging}`
          : `check that ${wordsOf(config).belonging}; otherwise use a higher learning rate or train for more steps`,
      ),
    )
  return findings
}

/** A norm of so many times the median is not noise between batches: healthy runs with small batches reach 20. */
const SPIKE = 100

function norms(steps: readonly StepMetrics[], config: Training): DoctorFinding[] {
  const all = steps.map(step => step.gradientNorm)
  const tenths = parts(all, 10).map(median)
  const [last, least] = [tenths[9], Math.min(...tenths)]
  if (last === 0)
    return [
      finding(
        'wrong',
        'the gradients are 0',
        'the median norm over the last tenth of the steps is 0',
        'no gradient reaches the parameters: look for a loss weight of 0, a saturated loss or frozen parameters',
      ),
    ]
  if (last > 10 * least)
    return [
      finding(
        'suspect',
        'the gradients grow',
        `median norms over each tenth of the steps: ${tenths.map(digits).join(', ')}`,
        `use ${lowerRate(config.optimizer.learningRate)}, a longer warm-up, a smaller ${wordsOf(config).clip} or more weight decay`,
      ),
    ]
  const spikes = steps.filter((_, i) => i >= 50 && all[i] > SPIKE * median(all.slice(Math.max(0, i - 100), i)))
  if (spikes.length === 0) return []
  return [
    finding(
      'suspect',
      `the gradient norm jumps in ${counted(spikes.length, 'step')}`,
      `it is more than ${SPIKE} times the median of the steps before: ${some(spikes.map(({ step, gradientNorm }) => `${digits(gradientNorm)} at step ${step}`))}`,
      `look at the ${wordsOf(config).examples} of these steps; a smaller ${wordsOf(config).clip} limits their effect on the weights`,
    ),
  ]
}

function temperature(steps: readonly StepMetrics[], config: Training): DoctorFinding[] {
  const { temperature, loss } = config.model ?? {}
  // a loss with another meaning may have the same name
  const isContrastive =
    config.batchSize !== undefined && 'contrastive' in steps[0].losses && 'scale' in steps[0].measures
  if (!isContrastive || (loss?.contrastive?.weight ?? 1) === 0) return []
  const most = temperature?.maximumScale ?? 100
  const late = parts(steps, 10)[9]
  const [scale, contrastive] = [
    mean(late.map(({ measures }) => measures.scale)),
    mean(late.map(({ losses }) => losses.contrastive)),
  ]
  if (scale < 1.01 && most > 1.01)
    return [
      finding(
        'suspect',
        'the temperature has collapsed',
        `1 / temperature is ${digits(scale)}, its minimum: with it, cosines of at most 1 cannot separate ${config.batchSize} captions`,
        isTooFast(steps, config)
          ? `first use ${slower(config)}; then check that images and captions are not mixed up`
          : 'the embeddings of images and captions do not match: check that they are not mixed up, and use a lower learning rate',
      ),
    ]
  if (scale < 0.99 * most) return []
  const since = steps.find(({ measures }) => measures.scale > 0.99 * most)!.step
  const isUseless = contrastive > 0.5 * chanceOf(config)
  return [
    finding(
      isUseless ? 'suspect' : 'note',
      isUseless
        ? 'the temperature is at its limit, but the pairs are not separated'
        : 'the temperature is at its limit',
      `1 / temperature reached its maximum ${most} at step ${since}; the contrastive loss is ${digits(contrastive)}, ${share(contrastive, chanceOf(config))} of guessing`,
      isUseless
        ? 'a large scale amplifies errors of the embeddings: check that images and captions belong together, then use a lower learning rate or a smaller maximumScale'
        : 'this is usual late in a run that learns well; temperature.maximumScale of the model sets the limit',
    ),
  ]
}

/** Finds a rising loss on held-out examples, if it was measured at least four times. */
function overfitting(evaluations: readonly EvaluationMetrics[], config: Training): DoctorFinding[] {
  const { things } = wordsOf(config)
  const measured = evaluations.filter(({ values }) => Number.isFinite(values.loss))
  if (measured.length < 4) return []
  const best = measured.reduce((a, b) => (b.values.loss < a.values.loss ? b : a))
  const last = measured[measured.length - 1]
  if (last.values.loss < 1.2 * best.values.loss) return []
  return [
    finding(
      'note',
      `the loss on held-out ${things} rises again`,
      `it was ${digits(best.values.loss)} at step ${best.step} and ${digits(last.values.loss)} at step ${last.step}`,
      `the model memorizes the training ${things}: use fewer steps, more ${things}, augmentation, dropout or weight decay`,
    ),
  ]
}
