// What a run has measured of itself, looked through for training that goes wrong. One curve is noisy: what is compared are
// means and medians over a share of the steps.

import {
  describeCheck,
  type EvaluationMetrics,
  type GuardMetrics,
  type MetricsLine,
  type StepMetrics,
} from '../train/index.ts'
import { counted, type DoctorFinding, digits, findingsOf, lowerRate, mean, median, share, some } from './finding.ts'
import { runWords, type Training } from './training.ts'

const finding = findingsOf('metrics')

/** With fewer steps there is nothing to say of how a training goes. */
export const ENOUGH = 100

/** @param folder that the lines are in */
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

/** Learning rates of ten times what is usually the most: few models bear them. */
const HIGH = { adamw: 0.03, adafactor: 0.03, sgd: 3 } as const

/** The least learning rate that is too high for an optimizer, as far as is known. */
const highOf = ({ optimizer: { name } }: Training): number =>
  name === undefined ? Number.POSITIVE_INFINITY : HIGH[name]

const isHigh = (config: Training): boolean => (config.optimizer.learningRate ?? 0) > highOf(config)

/** A loss of twice that of an untrained model is no noise of batches. */
const leap = (steps: readonly StepMetrics[]): StepMetrics | undefined =>
  steps.find(({ losses: { total } }) => total > 2 * steps[0].losses.total && total > steps[0].losses.total + 1)

/** Whether the updates were too large for the model, which makes of all else a consequence. */
const isTooFast = (steps: readonly StepMetrics[], config: Training): boolean =>
  isHigh(config) || leap(steps) !== undefined

/** What to try first where updates were too large. */
function slower(config: Training): string {
  const { learningRate } = config.optimizer
  if (isHigh(config)) return `a learning rate of ${highOf(config) / 10} or less`
  return learningRate === undefined
    ? 'a learning rate of a tenth or less'
    : `a learning rate of a tenth of ${digits(learningRate)} or less`
}

/** @param isTroubled whether something else is not as it should be: a high learning rate that does no harm is nobody's business */
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
        ? `a learning rate of ${rate} is far above what ${name} usually bears`
        : `the loss leapt far above its beginning${learningRate === undefined ? '' : `, at a learning rate of ${rate}`}`,
      `${isHigh(config) ? `usual are at most ${highOf(config) / 10}; ` : ''}${course}`,
      `begin anew with ${slower(config)}, or a longer warm-up: what else is found here is likely to follow from it`,
    ),
  ]
}

/** Everything that a step has measured, by name. */
const measured = ({ losses: { total, ...named }, gradientNorm, measures }: StepMetrics): [string, number | null][] =>
  Object.entries({ loss: total, ...named, gradientNorm, ...measures })

/** JSON has no NaN: what was none is null. */
function notFinite(steps: readonly StepMetrics[], config: Training): DoctorFinding[] {
  const first = steps.find(step => measured(step).some(([, value]) => !Number.isFinite(value)))
  if (!first) return []
  const bad = measured(first).filter(([, value]) => !Number.isFinite(value))
  return [
    finding(
      'wrong',
      'a value that was measured is no finite number',
      `step ${first.step}: ${bad.map(([name, value]) => `${name} is ${value ?? 'NaN'}`).join(', ')}`,
      `everything after this step is spoilt: resume from a checkpoint before it, with a smaller ${wordsOf(config).clip} or ${lowerRate(config.optimizer.learningRate)}`,
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

/** Some parts of a list in order, equally long. */
function parts<T>(list: readonly T[], count: number): T[][] {
  return Array.from({ length: count }, (_, i) =>
    list.slice(Math.floor((i * list.length) / count), Math.floor(((i + 1) * list.length) / count)),
  )
}

/** What the contrastive loss is when every text of a batch is as likely as the next. */
const chanceOf = ({ model, batchSize = Number.NaN }: Training): number =>
  Math.log(batchSize) * (model?.loss?.contrastive?.reduction === 'sum' ? 2 : 1)

function loss(steps: readonly StepMetrics[], config: Training): DoctorFinding[] {
  const tenths = parts(steps, 10)
  const of = (name: string) => tenths.map(part => mean(part.map(({ losses }) => losses[name])))
  const total = of('total')
  const [first, last, least] = [total[0], total[9], Math.min(...total)]
  const rates = `learning rates were ${digits(Math.min(...steps.map(step => step.learningRate)))} to ${digits(Math.max(...steps.map(step => step.learningRate)))}`
  if (last > 0.98 * first || steps[0].losses.total < 0.98 * last)
    return [
      finding(
        'suspect',
        last > 1.1 * first || last > 1.1 * steps[0].losses.total ? 'the loss rises' : 'the loss does not fall',
        `mean over the first tenth of ${steps.length} steps ${digits(first)}, over the last ${digits(last)}; ${rates}`,
        isTooFast(steps, config)
          ? `first ${slower(config)}; then see that ${wordsOf(config).belonging}`
          : `first see that the gradients are right and ${wordsOf(config).belonging}; then try a learning rate ten times smaller, and ten times larger`,
      ),
    ]
  const findings: DoctorFinding[] = []
  if (last > 1.5 * least && last > least + 0.1)
    findings.push(
      finding(
        'suspect',
        'the loss fell, and rose again',
        `mean over a tenth of the steps: ${total.map(digits).join(', ')}; ${rates}`,
        `${lowerRate(config.optimizer.learningRate)}, a longer warm-up or a smaller ${wordsOf(config).clip}`,
      ),
    )
  const contrastive = 'contrastive' in steps[0].losses ? of('contrastive')[9] : Number.NaN
  const chance = chanceOf(config)
  if ((config.model?.loss?.contrastive?.weight ?? 1) > 0 && chance > 0 && contrastive > 0.95 * chance)
    findings.push(
      finding(
        'suspect',
        'the contrastive loss is that of guessing',
        `${digits(contrastive)} over the last tenth of the steps; guessing among ${config.batchSize} gives ${digits(chance)}`,
        isTooFast(steps, config)
          ? `first ${slower(config)}; then see that images and captions are not mixed up`
          : 'see that captions tell their images apart, and that images and captions are not mixed up; else a higher learning rate or a larger batch',
      ),
    )
  const guess = config.classes === undefined ? Number.NaN : Math.log(config.classes)
  const classification = 'classification' in steps[0].losses ? of('classification')[9] : Number.NaN
  if (guess > 0 && classification > 0.95 * guess)
    findings.push(
      finding(
        'suspect',
        'the classification loss is that of guessing',
        `${digits(classification)} over the last tenth of the steps; guessing among ${config.classes} classes gives ${digits(guess)}`,
        isTooFast(steps, config)
          ? `first ${slower(config)}; then check that the labels belong to the images`
          : 'check that the labels belong to the images; else use a higher learning rate or train for more steps',
      ),
    )
  return findings
}

/** A norm that is so many times another is no noise of batches: healthy runs of small batches reach 20. */
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
        `median norm over the last tenth of the steps: 0`,
        'nothing reaches the parameters: a loss weight of 0, a saturated loss, or frozen parameters',
      ),
    ]
  if (last > 10 * least)
    return [
      finding(
        'suspect',
        'the gradients grow',
        `median norm over a tenth of the steps: ${tenths.map(digits).join(', ')}`,
        `${lowerRate(config.optimizer.learningRate)}, a longer warm-up, a smaller ${wordsOf(config).clip}, or more weight decay`,
      ),
    ]
  const spikes = steps.filter((_, i) => i >= 50 && all[i] > SPIKE * median(all.slice(Math.max(0, i - 100), i)))
  if (spikes.length === 0) return []
  return [
    finding(
      'suspect',
      `the norm of the gradients leaps in ${counted(spikes.length, 'step')}`,
      `more than ${SPIKE} times the median of the steps before: ${some(spikes.map(({ step, gradientNorm }) => `${digits(gradientNorm)} at step ${step}`))}`,
      `look at the ${wordsOf(config).examples} of these steps; a smaller ${wordsOf(config).clip} keeps them from moving the weights`,
    ),
  ]
}

function temperature(steps: readonly StepMetrics[], config: Training): DoctorFinding[] {
  const { temperature, loss } = config.model ?? {}
  // a loss of another meaning may have the same name
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
        `1 / temperature is ${digits(scale)}, the least there is: cosines of at most 1 cannot tell ${config.batchSize} captions apart`,
        isTooFast(steps, config)
          ? `first ${slower(config)}; then see that images and captions are not mixed up`
          : 'the embeddings of images and captions do not fit each other: see that they are not mixed up, and try a lower learning rate',
      ),
    ]
  if (scale < 0.99 * most) return []
  const since = steps.find(({ measures }) => measures.scale > 0.99 * most)!.step
  const isUseless = contrastive > 0.5 * chanceOf(config)
  return [
    finding(
      isUseless ? 'suspect' : 'note',
      isUseless ? 'the temperature is at its end, and the pairs are not told apart' : 'the temperature is at its end',
      `1 / temperature reached its maximum ${most} at step ${since}; the contrastive loss is ${digits(contrastive)}, ${share(contrastive, chanceOf(config))} of guessing`,
      isUseless
        ? 'a large scale makes noise of wrong embeddings: see that images and captions belong together, then try a lower learning rate or a smaller maximumScale'
        : 'usual late in a run that learns well; temperature.maximumScale of the model moves the end',
    ),
  ]
}

/** The loss on what was held back, where it was measured often enough to see which way it goes. */
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
      `the loss on ${things} held back rises again`,
      `${digits(best.values.loss)} at step ${best.step}, ${digits(last.values.loss)} at step ${last.step}`,
      `the run learns its ${things} by heart: fewer steps, more ${things}, augmentation, dropout or weight decay`,
    ),
  ]
}
