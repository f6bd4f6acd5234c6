// Every process computes the gradient of a whole batch by itself, and that of its part together with the others. Rank 0 prints the
// relative differences as JSON.

import { CoCa, DualEncoder } from '../../src/models/index.ts'
import { openMpi } from '../../src/mpi/index.ts'
import { Linear, lossAndGradients, type Module } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { defaultGenerator, device, fromData, scope, seed, type Tensor } from '../../src/tensor/index.ts'
import {
  batchGradients,
  CoCaObjective,
  ImageTextObjective,
  type LossGradients,
  type Objective,
} from '../../src/train/index.ts'
import { tinyModel } from '../train/tiny.ts'

const ranks = openMpi()
const count = 11
/** of unequal size */
const edges = Array.from({ length: ranks.size + 1 }, (_, i) => Math.round(count * (i / ranks.size) ** 1.3))

/** Numbers in the precision of a device. */
const numbers = (on: string, length: number, of: (i: number) => number): Float32Array | Float64Array =>
  on === 'cpu' ? Float32Array.from({ length }, (_, i) => of(i)) : Float64Array.from({ length }, (_, i) => of(i))
const batchOn = (on: string, shift = 0) => ({
  images: numbers(on, count * 192, i => Math.sin(i + shift)),
  imageShape: [count, 3, 8, 8] as [number, number, number, number],
  // captions 0 and 7 are equal, and some are shorter than others
  tokens: Int32Array.from({ length: count }, (_, i) => i % 7).reduce(
    (all, i, row) => {
      all.set([1, 4 + i, 5 + ((i * i + shift) % 9), ...(i % 3 ? [6 + i, 2, 0] : [2, 0, 0])], row * 6)
      return all
    },
    new Int32Array(count * 6),
  ),
  tokenShape: [count, 6] as [number, number],
})

const norm = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0))
const flat = (gradients: ReadonlyMap<string, Tensor>) =>
  [...gradients].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, gradient]) => [...gradient.dataSync()])

function differences(own: LossGradients, whole: LossGradients): Record<string, number> {
  const [a, b] = [flat(own.gradients), flat(whole.gradients)]
  const relative = (x: Tensor, y: Tensor) => Math.abs(x.dataSync()[0] / y.dataSync()[0] - 1)
  const scale = whole.gradients.get('logScale')
  return {
    gradients: norm(a.map((x, i) => x - b[i])) / norm(b),
    ...(scale && { temperature: relative(own.gradients.get('logScale')!, scale) }),
    ...Object.fromEntries(Object.keys(whole.loss).map(name => [name, relative(own.loss[name], whole.loss[name])])),
  }
}

/** With parameters in float64 on `reference`, so that they are more exact than float32. */
function precise<M extends Module>(model: M, on: string): M {
  if (on === 'reference') for (const parameter of model.parameters()) parameter.assign(parameter.cast('float64'))
  return model
}

/** Counts the passes of the images through the encoder. */
function countPasses(model: CoCa): { readonly count: number } {
  const { encoder } = model
  const counted = { count: 0 }
  const forward = encoder.forward.bind(encoder)
  Object.defineProperty(encoder, 'forward', {
    value: (images: Tensor) => {
      counted.count++
      return forward(images)
    },
  })
  return counted
}

const tinyDual = { image: tinyModel.image, text: tinyModel.text, embedding: tinyModel.embedding }

const found: Record<string, unknown> = {}

/** All processes have the same bits. */
const sameBits = (gradients: ReadonlyMap<string, Tensor>): boolean => {
  const { values } = ranks.allGather(Float64Array.from(flat(gradients)))
  const length = values.length / ranks.size
  return values.every((x, i) => Object.is(x, values[i % length]))
}

for (const on of ['cpu', 'reference'] as const) {
  await device.use(on)
  for (const [title, options, parts, positives = true] of [
    ['equal captions are positives', {}, 1],
    ['equal captions are not', { loss: { contrastive: { reduction: 'sum' } } }, 1, false],
    ['in parts', {}, 2],
    ['of which the first rank has one and the others two', {}, ranks.rank === 0 ? 1 : 2],
    ['with dropout', { dropout: 0.3 }, 1],
    ['with dropout in parts', { dropout: 0.3 }, 2],
  ] as const) {
    seed(4)
    const objective = new CoCaObjective(precise(new CoCa({ ...tinyModel, ...options }), on), { positives })
    objective.model.train()
    const batch = batchOn(on)
    const { position } = defaultGenerator().state
    const whole = batchGradients(objective, batch, 1)
    const after = defaultGenerator().state.position
    defaultGenerator().seek(position)
    const part = objective.slice(batch, edges[ranks.rank], edges[ranks.rank + 1])
    const passes = countPasses(objective.model)
    const own = batchGradients(objective, part, parts, ranks)
    found[`${on}, ${title}`] = {
      ...differences(own, whole),
      // one pass of a single part, two of each of several
      hasPasses: passes.count === (parts === 1 ? 1 : 2 * parts),
      sameBits: sameBits(own.gradients),
      isAtSamePosition: defaultGenerator().state.position === after,
    }
  }
  for (const [contrast, parts, positives] of [
    ['softmax', 1, true],
    ['sigmoid', 1, true],
    ['sigmoid', 2, false],
  ] as const) {
    seed(8)
    const model = precise(new DualEncoder({ ...tinyDual, contrast }), on)
    const objective = new ImageTextObjective(model, { positives })
    const batch = batchOn(on)
    const own = batchGradients(
      objective,
      objective.slice(batch, edges[ranks.rank], edges[ranks.rank + 1]),
      parts,
      ranks,
    )
    found[`${on}, a dual encoder with ${contrast} in ${parts} parts${positives ? ' and positives' : ''}`] = {
      ...differences(own, batchGradients(objective, batch, 1)),
      sameBits: sameBits(own.gradients),
      isAtSamePosition: true,
    }
  }
  seed(5)
  const model = precise(new Linear(3, 2), on)
  const rows: Objective<{ x: Tensor; mask: Tensor }> = {
    model,
    // a mean over the counted rows, of which each process has another number
    loss: ({ x, mask }) => model.forward(x).square().sum({ axis: 1 }).mul(mask).sum().div(mask.sum()),
    weight: ({ mask }) => mask.sum().dataSync()[0],
  }
  const all = {
    x: fromData(numbers(on, count * 3, Math.cos), [count, 3]),
    mask: fromData(
      numbers(on, count, i => (i % 4 === 3 ? 0 : 1)),
      [count],
    ),
  }
  const [start, stop] = edges.slice(ranks.rank)
  const mine = { x: all.x.slice([{ start, stop }]), mask: all.mask.slice([{ start, stop }]) }
  const own = batchGradients(rows, mine, 1, ranks)
  found[`${on}, a weighted mean`] = {
    ...differences(
      own,
      lossAndGradients(model, () => ({ total: rows.loss(all) as Tensor })),
    ),
    sameBits: sameBits(own.gradients),
    isAtSamePosition: true,
  }
}

/** The losses of 50 steps on cpu. */
async function curve(among?: typeof ranks): Promise<number[]> {
  await device.use('cpu')
  seed(6)
  const objective = new CoCaObjective(new CoCa(tinyModel))
  const optimizer = new AdamW(objective.model, { learningRate: 1e-3 })
  return Array.from({ length: 50 }, (_, step) =>
    scope(() => {
      const batch = batchOn('cpu', step % 5)
      const part = among ? objective.slice(batch, edges[among.rank], edges[among.rank + 1]) : batch
      const { loss, gradients } = batchGradients(objective, part, 1, among)
      optimizer.step(gradients)
      objective.afterUpdate()
      return loss.total.dataSync()[0]
    }),
  )
}
const [alone, together] = [await curve(), await curve(ranks)]
found.curve = Math.max(...alone.map((loss, i) => Math.abs(together[i] / loss - 1)))
found.fell = together[49] / together[0]

if (ranks.rank === 0) console.log(JSON.stringify(found))
