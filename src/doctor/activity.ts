// Examines what a model computes for some of its data: units that never fire, parameters that no gradient reaches, embeddings
// that are all alike.

import { noGrad, Tape } from '../autograd/index.ts'
import { indexOfNonFinite, scope, type Tensor } from '../tensor/index.ts'
import { diagnose } from '../train/guard/diagnose.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import type { Finding } from '../train/index.ts'
import { lossesOf } from '../train/objective.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'
import { isUnfelt } from './optimizer.ts'

const finding = findingsOf('activity')

/** A gradient whose norm is below this share of the mean norm counts as 0. */
const NOTHING = 1e-7

/**
 * Computes the loss of a batch and its gradients, without dropout. If a value is not finite, this is the only finding, and the
 * only one that is `wrong`.
 * @param isTrained whether the embeddings should differ: those of a new model are all alike
 * @param learningRate the peak learning rate of the training
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
      'the model computes values that are not finite',
      seen.length === 0
        ? 'the gradients are finite, but the norm of one of them is not'
        : some(seen.map(({ kind, name, value, index }) => `${kind} ${name} has ${value} at ${index}`)),
      `the weights are finite, so values become too large during the computation: go back to an earlier checkpoint with --step N, and continue with a learning rate below ${digits(learningRate)}, a longer warm-up or a clipNorm`,
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

/** Finds units that never fire, in the inputs [..., hidden] of the second layer of each MLP. */
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
  const smoother = tape.entries.some(({ name }) => name === 'relu') ? ', or gelu instead of relu' : ''
  return [
    finding(
      worst > 0.5 ? 'suspect' : 'note',
      `units of ${counted(found.length, 'layer')} never fire`,
      some(found.map(({ name, dead, all }) => `${name} ${dead} of ${all} (${share(dead, all)})`)),
      `the learning rate was too high, or the bias went far below 0: start a new run with a learning rate below ${digits(learningRate)} or a longer warm-up${smoother}`,
    ),
  ]
}

/** The number of units that are below a thousandth of the layer's largest value everywhere. */
function countDead(data: ArrayLike<number>, units: number): number {
  const most = new Float64Array(units)
  for (let i = 0; i < data.length; i++) most[i % units] = Math.max(most[i % units], Math.abs(data[i]))
  const largest = most.reduce((a, b) => Math.max(a, b), 0)
  return most.filter(value => !(value > 1e-3 * largest)).length
}

/** Checks the mean cosine of all pairs of unit vectors: the squared norm of their sum contains each pair twice. */
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
      `the mean cosine between ${rows} ${what} is ${cosine.toFixed(4)}`,
      `the model does not distinguish ${what}: check that they differ; then use a learning rate below ${digits(learningRate)} or a longer warm-up`,
    ),
  ]
}
