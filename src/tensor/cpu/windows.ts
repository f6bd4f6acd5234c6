// Convolutions and the largest elements of windows, of float32 over at most three spatial axes: the sizes that their kernels read
// from memory, and the parts of the work that threads share. For other arguments the definitions run.

import type { ConvolutionSteps, PoolSteps, WindowSteps } from '../fused-kernels.ts'
import { type Shape, sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { grains, type Workspace } from './workspace.ts'

/** The number of multiplications from which on a part is given to another thread. */
const GRAIN = 100_000
/** Elements of columns that are in memory at once, and the least number of windows: fewer make slow products. */
const COLUMNS = 2 ** 16
const LEAST = 128

const spatialOf = (x: Tensor): Shape => x.shape.slice(2)

const takes = (...xs: readonly Tensor[]): boolean =>
  xs.every(x => x.dtype === 'float32' && x.rank >= 3 && x.rank <= 5 && x.size > 0)

/** Three numbers, of which the last ones are given. */
const three = (numbers: readonly number[], other: number): readonly number[] => [
  ...new Array<number>(3 - numbers.length).fill(other),
  ...numbers,
]

/** The fields of the class Windows in assembly/windows.ts. */
const fieldsOf = (sizes: Shape, kernel: Shape, counts: Shape, { stride, dilation, padding }: WindowSteps): number[] => [
  ...three(sizes, 1),
  ...three(kernel, 1),
  ...three(counts, 1),
  ...three(stride, 1),
  ...three(dilation, 1),
  ...three(
    padding.map(([before]) => before),
    0,
  ),
]

/** Numbers in memory until the kernel is done. */
function written(workspace: Workspace, numbers: readonly number[]): number {
  const at = workspace.passing(4 * numbers.length)
  workspace.put(at, Int32Array.from(numbers))
  return at
}

/** The sizes of a convolution, and how its work is cut into parts. */
interface Plan {
  /** channels of a group */
  readonly inputs: number
  readonly outputs: number
  /** elements of a kernel, and windows of one plane */
  readonly volume: number
  readonly count: number
  /** rows of windows, and windows of each, whose columns are in memory at once */
  readonly rows: number
  readonly columns: number
  /** how many of them are in one plane */
  readonly parts: number
  readonly fields: readonly number[]
}

/** @param inputsAtOnce channels of x that are computed at a time */
function planOf(
  channels: number,
  sizes: Shape,
  weight: Shape,
  counts: Shape,
  steps: ConvolutionSteps,
  inputsAtOnce = channels / steps.groups,
): Plan {
  const { groups } = steps
  const kernel = weight.slice(2)
  const [inputs, outputs, volume, count] = [channels / groups, weight[0] / groups, sizeOf(kernel), sizeOf(counts)]
  const width = counts[counts.length - 1]
  const lines = count / width
  const most = Math.max(LEAST, Math.floor(COLUMNS / (inputsAtOnce * volume)))
  // parts of about the same size
  const cut = (n: number, size: number): number => Math.ceil(n / Math.ceil(n / size))
  const columns = cut(width, most)
  const rows = columns < width ? 1 : cut(lines, Math.max(1, Math.floor(most / width)))
  const isPlain =
    volume === 1 && steps.stride.every(n => n === 1) && steps.padding.every(([before, after]) => before + after === 0)
  return {
    ...{ inputs, outputs, volume, count, rows, columns },
    parts: Math.ceil(lines / rows) * Math.ceil(width / columns),
    fields: [
      ...fieldsOf(sizes, kernel, counts, steps),
      ...[groups, inputs, outputs, isPlain ? 1 : 0, rows, columns, inputsAtOnce],
    ],
  }
}

/** x [batch, inputs, sizes…], weight [outputs, inputs / groups, kernel…] → [batch, outputs, counts…] */
export function convolution(
  workspace: Workspace,
  x: Tensor,
  weight: Tensor,
  counts: Shape,
  steps: ConvolutionSteps,
): Tensor | undefined {
  if (!takes(x, weight)) return undefined
  const { threads } = workspace
  const plan = planOf(x.shape[1], spatialOf(x), weight.shape, counts, steps)
  return workspace.tensor('float32', [x.shape[0], weight.shape[0], ...counts], out => {
    const [from, w, at] = [workspace.dense(x), workspace.dense(weight), written(workspace, plan.fields)]
    const depth = plan.inputs * plan.volume
    const bytes = 4 * depth * plan.rows * plan.columns
    const buffer = workspace.passing(bytes * threads.count)
    const grain = GRAIN / (plan.outputs * depth * plan.rows * plan.columns)
    threads.share(x.shape[0] * steps.groups * plan.parts, grain, ({ code, index, scratch }, first, last) =>
      code.convolution(out, from, w, at, first, last, buffer + index * bytes, scratch),
    )
  })
}

/** The derivative by x: g [batch, outputs, counts…] → [batch, inputs, sizes…] */
export function convolutionTransposed(
  workspace: Workspace,
  g: Tensor,
  weight: Tensor,
  sizes: Shape,
  steps: ConvolutionSteps,
): Tensor | undefined {
  if (!takes(g, weight)) return undefined
  const { threads } = workspace
  const [images, inputs] = [g.shape[0] * steps.groups, weight.shape[1]]
  const atOnce = Math.ceil(inputs / Math.min(inputs, Math.ceil(threads.parts / images)))
  const plan = planOf(inputs * steps.groups, sizes, weight.shape, spatialOf(g), steps, atOnce)
  return workspace.tensor('float32', [g.shape[0], inputs * steps.groups, ...sizes], out => {
    const [from, w, at] = [workspace.dense(g), workspace.dense(weight), written(workspace, plan.fields)]
    const bytes = 4 * atOnce * plan.volume * plan.rows * plan.columns
    const buffer = workspace.passing(bytes * threads.count)
    const grain = GRAIN / (plan.outputs * atOnce * plan.volume * plan.count)
    threads.share(images * Math.ceil(inputs / atOnce), grain, ({ code, index, scratch }, first, last) =>
      code.convolutionTransposed(out, from, w, at, first, last, buffer + index * bytes, scratch),
    )
  })
}

/** The derivative by the weight: x [batch, inputs, sizes…], g [batch, outputs, counts…] → [outputs, inputs / groups, kernel…] */
export function convolutionByWeight(
  workspace: Workspace,
  x: Tensor,
  g: Tensor,
  kernel: Shape,
  steps: ConvolutionSteps,
): Tensor | undefined {
  if (!takes(x, g)) return undefined
  const { threads } = workspace
  const { groups } = steps
  const [batch, channels] = x.shape
  const inputs = channels / groups
  const atOnce = Math.ceil(inputs / Math.min(inputs, Math.ceil(threads.parts / groups)))
  const shape = [g.shape[1], inputs, ...kernel]
  const plan = planOf(channels, spatialOf(x), shape, spatialOf(g), steps, atOnce)
  return workspace.tensor('float32', shape, out => {
    const [from, slopes, at] = [workspace.dense(x), workspace.dense(g), written(workspace, plan.fields)]
    const own = atOnce * plan.volume
    // eight, so that the next thread begins at a multiple of it
    const bytes = 8 * Math.ceil((12 * own * plan.outputs + 4 * own * plan.rows * plan.columns) / 8)
    const buffer = workspace.passing(bytes * threads.count)
    const grain = GRAIN / (batch * plan.outputs * own * plan.count)
    threads.share(groups * Math.ceil(inputs / atOnce), grain, ({ code, index, scratch }, first, last) =>
      code.convolutionByWeight(out, from, slopes, at, batch, first, last, buffer + index * bytes, scratch),
    )
  })
}

/** The largest element of every window: [batch, channels, sizes…] → [batch, channels, counts…] */
export function maxPool(workspace: Workspace, x: Tensor, counts: Shape, steps: PoolSteps): Tensor | undefined {
  if (!takes(x)) return undefined
  const [planes, volume] = [x.shape[0] * x.shape[1], sizeOf(steps.kernel)]
  return workspace.tensor('float32', [x.shape[0], x.shape[1], ...counts], (out, size) => {
    const from = workspace.dense(x)
    const at = written(workspace, fieldsOf(spatialOf(x), steps.kernel, counts, steps))
    const [own, result] = [x.size / planes, size / planes]
    workspace.threads.share(planes, grains.compute / (result * volume), ({ code }, first, last) =>
      code.maxPool(out + 4 * result * first, from + 4 * own * first, last - first, at),
    )
  })
}

/** Its gradient: g [batch, channels, counts…] → that of x */
export function maxPoolGradient(workspace: Workspace, g: Tensor, x: Tensor, steps: PoolSteps): Tensor | undefined {
  if (!takes(g, x)) return undefined
  const [planes, volume] = [x.shape[0] * x.shape[1], sizeOf(steps.kernel)]
  return workspace.tensor('float32', x.shape, (out, size) => {
    const [slopes, from] = [workspace.dense(g), workspace.dense(x)]
    const at = written(workspace, fieldsOf(spatialOf(x), steps.kernel, spatialOf(g), steps))
    const [own, result] = [size / planes, g.size / planes]
    workspace.threads.share(planes, grains.compute / (result * volume), ({ code }, first, last) => {
      const [to, source] = [out + 4 * own * first, from + 4 * own * first]
      code.maxPoolGradient(to, slopes + 4 * result * first, source, last - first, at)
    })
  })
}
