// What a model does with some of its data: units that never fire, parameters that no gradient reaches, embeddings that are
// all alike.

import { noGrad, Tape } from '../autograd/index.ts'
import { indexOfNonFinite, scope, type Tensor } from '../tensor/index.ts'
import { diagnose } from '../train/guard/diagnose.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import type { Finding } from '../train/index.ts'
import { lossesOf } from '../train/objective.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'
import { isUnfelt } from './optimizer.ts'

const finding = findingsOf('activity')

/** A gradient of so small a share of the others' mean norm is none. */
const NOTHING = 1e-7

/**
 * Runs a model over a batch and back, without random numbers. What it finds is wrong only where values are not finite; then
 * there is nothing else to be said.
 * @param isTrained whether its embeddings should differ by now: those of new models are all alike
 * @param learningRate what it was trained with, at its peak
 */
export async function examineActivity(
  { objective, batch }: LossProblem,
  isTrained: boolean,
  learningRate: number,
): Promise<DoctorFinding[]> {
  const { model } = objective
  const { training } = model
  const tape = new Tape()
  model.eval()
  try {
    const parameters = [...model.namedParameters()]
    for (const [name, parameter] of parameters) tape.watch(parameter, name)
    const loss = tape.run(() => lossesOf(objective, batch).total)
    const gradients = tape.gradient(
      loss,
      parameters.map(([, parameter]) => parameter),
    )
    const norms = new Map<string, number>()
    for (const [i, [name]] of parameters.entries()) norms.set(name, norm(await gradients[i].data()))
    for (const { storage } of gradients) storage.free('the examination of gradients')
    if (indexOfNonFinite([await loss.item(), ...norms.values()]) >= 0)
      return notFinite(await diagnose(objective, batch), learningRate)
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

function notFinite(found: readonly Finding[], learningRate: number): DoctorFinding[] {
  const [first] = found.filter(({ kind }) => kind === 'activation')
  const seen = [...(first ? [first] : []), ...found.filter(({ kind }) => kind === 'loss' || kind === 'gradient')]
  return [
    finding(
      'wrong',
      'the model computes values that are no finite numbers',
      seen.length === 0
        ? 'the gradients are finite, and a norm of them is not'
        : some(seen.map(({ kind, name, value, index }) => `${kind} ${name} has ${value} at ${index}`)),
      `its weights are finite, so numbers grow too large on the way: go back to an earlier checkpoint with --step N, and train on with a lower learning rate than ${digits(learningRate)}, a longer warm-up or clipNorm`,
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

/** What the second layer of each MLP is given: [..., hidden] */
async function deadUnits(tape: Tape, learningRate: number): Promise<DoctorFinding[]> {
  const layers: { name: string; dead: number; all: number }[] = []
  for (const { args } of tape.entries) {
    const name = /^(.*)\.down\.weight$/.exec(tape.watched.get(args[1] as Tensor) ?? '')?.[1]
    if (name === undefined) continue
    const { shape } = args[0] as Tensor
    const all = shape[shape.length - 1]
    layers.push({ name, all, dead: countDead(await (args[0] as Tensor).data(), all) })
  }
  const found = layers.filter(({ dead, all }) => dead > 0.1 * all).sort((a, b) => b.dead / b.all - a.dead / a.all)
  if (found.length === 0) return []
  const worst = found[0].dead / found[0].all
  const smoother = tape.entries.some(({ name }) => name === 'relu') ? 'gelu instead of relu, ' : ''
  return [
    finding(
      worst > 0.5 ? 'suspect' : 'note',
      `units of ${counted(found.length, 'layer')} never fire`,
      some(found.map(({ name, dead, all }) => `${name} ${dead} of ${all} (${share(dead, all)})`)),
      `the learning rate was too high at some time, or the bias went far below 0: a lower learning rate than ${digits(learningRate)} or a longer warm-up, ${smoother}a new start`,
    ),
  ]
}

/** Units that are below a thousandth of the layer's largest everywhere. */
function countDead(data: ArrayLike<number>, units: number): number {
  const most = new Float64Array(units)
  for (let i = 0; i < data.length; i++) most[i % units] = Math.max(most[i % units], Math.abs(data[i]))
  const largest = most.reduce((a, b) => Math.max(a, b), 0)
  return most.filter(value => !(value > 1e-3 * largest)).length
}

/** Mean cosine of pairs, of embeddings of unit length: the sum of all, squared, holds each pair twice. */
function alike(what: string, data: ArrayLike<number>, width: number, learningRate: number): DoctorFinding[] {
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
      `the model does not tell ${what} apart: see that they differ at all; then a lower learning rate than ${digits(learningRate)} or a longer warm-up`,
    ),
  ]
}
