// What a model does with some of its data: units that never fire, parameters that no gradient reaches, embeddings that are
// all alike.

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

/** A gradient of so small a share of the others' mean norm is none. */
const NOTHING = 1e-7

/** A unit may be silent by chance in fewer rows than this. */
const ENOUGH_ROWS = 16

/**
 * Runs a model over a batch and back, in `eval` mode. What it finds is wrong only where values are not finite; then there is nothing
 * else to be said.
 * @param isTrained whether its embeddings should differ by now: those of new models are all alike
 * @param learningRate what it was trained with, at its peak, if that is known
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
      'the model computes values that are no finite numbers',
      seen.length === 0
        ? 'the gradients are finite, and a norm of them is not'
        : some(seen.map(({ kind, name, value, index }) => `${kind} ${name} has ${value} at ${index}`)),
      `${words.overflow}: ${words.earlier}, and train on with ${lowerRate(learningRate)}, a longer warm-up or ${words.clip}`,
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
      `norms below ${NOTHING} of the mean of all: ${some(none.map(([name, length]) => `${name} ${digits(length)}`))}, of ${norms.size} parameters`,
      'look for what lies between them and the loss: units that never fire, weights of 0, a saturated softmax, a stopped gradient',
    ),
  ]
}

/** Operations whose result is 0, or nearly, for a unit that does not fire. */
const ACTIVATIONS: readonly string[] = ['relu', 'gelu', 'geluTanh']

/** The units of one layer, over all calls of it. */
interface Units {
  readonly name: string
  /** the largest size of each one's values */
  readonly most: Float64Array
  /** how many values each has had, above those that it needs for a verdict */
  rows: number
}

/** What activation functions give, and what the second layer of each MLP is given. */
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
  /** of a result, the layer that computed what it was computed of */
  const makers = new Map<unknown, string>()
  for (const { name: operation, args, result } of tape.entries) {
    const weight = args.map(arg => tape.watched.get(arg as Tensor)).find(name => name !== undefined)
    const maker = weight?.replace(/\.[^.]*$/, '') ?? args.map(arg => makers.get(arg)).find(name => name !== undefined)
    if (maker !== undefined) makers.set(result, maker)
    const mlp = /^(.*)\.down\.weight$/.exec(tape.watched.get(args[1] as Tensor) ?? '')?.[1]
    if (mlp !== undefined) await add(mlp, args[0] as Tensor, (args[0] as Tensor).rank - 1)
    else if (ACTIVATIONS.includes(operation) && result.rank > 1)
      // the channels of pictures are their second axis; the first layer of an MLP has the MLP's name
      await add((maker ?? operation).replace(/\.up$/, ''), result, result.rank > 3 ? 1 : result.rank - 1, ENOUGH_ROWS)
  }
  const found = [...layers.values()]
    .filter(({ rows }) => rows >= 0)
    .map(({ name, most }) => ({ name, dead: countDead(most), all: most.length }))
    .filter(({ dead, all }) => dead > 0.1 * all)
    .sort((a, b) => b.dead / b.all - a.dead / a.all)
  if (found.length === 0) return []
  const worst = found[0].dead / found[0].all
  const smoother = tape.entries.some(({ name }) => name === 'relu') ? 'gelu instead of relu, ' : ''
  return [
    finding(
      worst > 0.5 ? 'suspect' : 'note',
      `units of ${counted(found.length, 'layer')} never fire`,
      some(found.map(({ name, dead, all }) => `${name} ${dead} of ${all} (${share(dead, all)})`)),
      `the learning rate was too high at some time, or the bias went far below 0: ${lowerRate(learningRate)} or a longer warm-up, ${smoother}a new start`,
    ),
  ]
}

/** Units that are below a thousandth of the layer's largest everywhere. */
function countDead(most: Float64Array): number {
  const largest = most.reduce((a, b) => Math.max(a, b), 0)
  return most.filter(value => !(value > 1e-3 * largest)).length
}

/** Mean cosine of pairs, of embeddings of unit length: the sum of all, squared, holds each pair twice. */
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
      `the mean cosine of ${rows} ${what} with each other is ${cosine.toFixed(4)}`,
      `the model does not tell ${what} apart: see that they differ at all; then ${lowerRate(learningRate)} or a longer warm-up`,
    ),
  ]
}
