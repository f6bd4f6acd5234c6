// Examines what a model computes for some of its data: units that never fire, parameters that no gradient reaches, embeddings
// that are all alike.

import { noGrad, Tape } from '../autograd/index.ts'
import { orZeros } from '../autograd/tape.ts'
import { defaultGenerator, indexOfNonFinite, scope, type Tensor } from '../tensor/index.ts'
import { diagnose } from '../train/guard/diagnose.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import type { Finding } from '../train/index.ts'
import { lossesOf } from '../train/objective.ts'
import { counted, type DoctorFinding, digits, findingsOf, lowerRate, share, some } from './finding.ts'
import { isUnfelt } from './optimizer.ts'
import { runWords, type Words } from './training.ts'

const finding = findingsOf('activity')

/** A gradient whose norm is below this share of the mean norm counts as 0. */
const NOTHING = 1e-7

/** In fewer rows than this, a unit may be silent by chance. */
const ENOUGH_ROWS = 16

/**
 * Computes the loss of a batch and its gradients, in `eval` mode. If a value is not finite, this is the only finding, and the only one
 * that is `wrong`.
 * @param isTrained whether the embeddings should differ: those of a new model are all alike
 * @param learningRate the peak learning rate of the training, if it is known
 */
export async function examineActivity(
  { objective, batch, position }: LossProblem,
  isTrained: boolean,
  learningRate: number | undefined,
  words: Words = runWords,
): Promise<DoctorFinding[]> {
  const { model } = objective
  const { training } = model
  const tape = new Tape()
  model.eval()
  try {
    const parameters = [...model.namedParameters()]
    for (const [name, parameter] of parameters) tape.watch(parameter, name)
    const loss = tape.run(() => lossesOf(objective, batch).total)
    const inputs = parameters.map(([, parameter]) => parameter)
    const gradients = orZeros(tape.partials(loss, inputs), inputs)
    const norms = new Map<string, number>()
    for (const [i, [name]] of parameters.entries()) norms.set(name, norm(await gradients[i].data()))
    for (const { storage } of gradients) storage.free('the examination of gradients')
    if (indexOfNonFinite([await loss.item(), ...norms.values()]) >= 0) {
      defaultGenerator().seek(position)
      return notFinite(await diagnose(objective, batch), learningRate, words)
    }
    const trained = new Map([...norms].filter((_, i) => parameters[i][1].trainable))
    const findings = [...unreached(trained), ...(await deadUnits(tape, learningRate))]
    if (!isTrained) return findings
    const embeddings = scope(() => noGrad(() => objective.embeddings?.(batch) ?? {}))
    for (const [what, vectors] of Object.entries(embeddings)) {
      findings.push(...alike(what, await vectors.data(), vectors.shape[vectors.rank - 1], learningRate))
      vectors.storage.free('the examination of embeddings')
    }
    return findings
  } finally {
    tape.end()
    model.train(training)
  }
}

function notFinite(found: readonly Finding[], learningRate: number | undefined, words: Words): DoctorFinding[] {
  const [first] = found.filter(({ kind }) => kind === 'activation')
  const seen = [...(first ? [first] : []), ...found.filter(({ kind }) => kind === 'loss' || kind === 'gradient')]
  return [
    finding(
      'wrong',
      'the model computes values that are not finite',
      seen.length === 0
        ? 'the gradients are finite, but the norm of one of them is not'
        : some(seen.map(({ kind, name, value, index }) => `${kind} ${name} has ${value} at ${index}`)),
      `${words.overflow}: ${words.earlier}, and continue with ${lowerRate(learningRate)}, a longer warm-up or a ${words.clip}`,
    ),
  ]
}

const norm = (data: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += data[i] ** 2
  return Math.sqrt(sum)
}

function unreached(norms: ReadonlyMap<string, number>): DoctorFinding[] {
  const mean = [...norms.values()].reduce((a, b) => a + b, 0) / norms.size
  const none = [...norms].filter(([name, length]) => !isUnfelt(name) && !(length > NOTHING * mean))
  if (none.length === 0) return []
  return [
    finding(
      'suspect',
      `no gradient reaches ${counted(none.length, 'parameter')}`,
      `of ${norms.size} parameters, the gradient norms of these are below ${NOTHING} of the mean: ${some(none.map(([name, length]) => `${name} ${digits(length)}`))}`,
      'look between them and the loss for units that never fire, weights of 0, a saturated softmax or a stopped gradient',
    ),
  ]
}

/** Operations whose result is 0 or nearly 0 for a unit that does not fire. */
const ACTIVATIONS: readonly string[] = ['relu', 'gelu', 'geluTanh']

/** The units of one layer, over all of its calls. */
interface Units {
  readonly name: string
  /** the largest absolute value of each unit */
  readonly most: Float64Array
  /** how many values of each unit were examined, minus the number that a verdict needs */
  rows: number
}

/** Finds units that never fire, in the results of activation functions and in the inputs of the second layer of each MLP. */
async function deadUnits(tape: Tape, learningRate: number | undefined): Promise<DoctorFinding[]> {
  const layers = new Map<string, Units>()
  const add = async (name: string, x: Tensor, axis: number, enough = 0) => {
    const units = x.shape[axis]
    const key = `${name} ${units}`
    const layer = layers.get(key) ?? { name, most: new Float64Array(units), rows: -enough }
    layers.set(key, layer)
    layer.rows += x.size / units
    const inner = x.shape.slice(axis + 1).reduce((product, size) => product * size, 1)
    const data = await x.data()
    for (let i = 0; i < data.length; i++) {
      const unit = Math.floor(i / inner) % units
      layer.most[unit] = Math.max(layer.most[unit], Math.abs(data[i]))
    }
  }
  /** for each result, the last layer that it was computed with */
  const makers = new Map<unknown, string>()
  for (const { name: operation, args, result } of tape.entries) {
    const weight = args.map(arg => tape.watched.get(arg as Tensor)).find(name => name !== undefined)
    const maker = weight?.replace(/\.[^.]*$/, '') ?? args.map(arg => makers.get(arg)).find(name => name !== undefined)
    if (maker !== undefined) makers.set(result, maker)
    const mlp = /^(.*)\.down\.weight$/.exec(tape.watched.get(args[1] as Tensor) ?? '')?.[1]
    if (mlp !== undefined) await add(mlp, args[0] as Tensor, (args[0] as Tensor).rank - 1)
    else if (ACTIVATIONS.includes(operation) && result.rank > 1)
      // the channels of images are their second axis; the first layer of an MLP is reported by the name of the MLP
      await add((maker ?? operation).replace(/\.up$/, ''), result, result.rank > 3 ? 1 : result.rank - 1, ENOUGH_ROWS)
  }
  const found = [...layers.values()]
    .filter(({ rows }) => rows >= 0)
    .map(({ name, most }) => ({ name, dead: countDead(most), all: most.length }))
    .filter(({ dead, all }) => dead > 0.1 * all)
    .sort((a, b) => b.dead / b.all - a.dead / a.all)
  if (found.length === 0) return []
  const worst = found[0].dead / found[0].all
  const smoother = tape.entries.some(({ name }) => name === 'relu') ? ', or gelu instead of relu' : ''
  return [
    finding(
      worst > 0.5 ? 'suspect' : 'note',
      `units of ${counted(found.length, 'layer')} never fire`,
      some(found.map(({ name, dead, all }) => `${name} ${dead} of ${all} (${share(dead, all)})`)),
      `the learning rate was too high, or the bias went far below 0: start a new run with ${lowerRate(learningRate)} or a longer warm-up${smoother}`,
    ),
  ]
}

/** The number of units that are below a thousandth of the layer's largest value everywhere. */
function countDead(most: Float64Array): number {
  const largest = most.reduce((a, b) => Math.max(a, b), 0)
  return most.filter(value => !(value > 1e-3 * largest)).length
}

/** Checks the mean cosine of all pairs of unit vectors: the squared norm of their sum contains each pair twice. */
function alike(
  what: string,
  data: ArrayLike<number>,
  width: number,
  learningRate: number | undefined,
): DoctorFinding[] {
  const rows = data.length / width
  if (rows < 2) return []
  const sum = new Float64Array(width)
  for (let i = 0; i < data.length; i++) sum[i % width] += data[i]
  const cosine = (norm(sum) ** 2 - rows) / (rows * (rows - 1))
  if (!(cosine > 0.99)) return []
  return [
    finding(
      'suspect',
      `the embeddings of ${what} are all alike`,
      `the mean cosine between ${rows} ${what} is ${cosine.toFixed(4)}`,
      `the model does not distinguish ${what}: check that they differ; then use ${lowerRate(learningRate)} or a longer warm-up`,
    ),
  ]
}
