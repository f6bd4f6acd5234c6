// Operations that take several kernels as primitives and one kernel here. The kernels are for float32 and whole rows;
// for other arguments they return undefined, and the definition runs.

import type { FusedKernels } from '../fused-kernels.ts'
import { MOMENT_BLOCK, momentFormats, momentWords, type PackedMoment, wordsPerBlock } from '../moments.ts'
import { isContiguous, sameShape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { attention, attentionGradient } from './attention.ts'
import { binaries, type CpuModule } from './exports.ts'
import { multiply, transposed } from './matmul.ts'
import { topk } from './order.ts'
import type { Lane } from './threads.ts'
import { convolution, convolutionByWeight, convolutionTransposed, maxPool, maxPoolGradient } from './windows.ts'
import { grains, type Workspace } from './workspace.ts'

const isPlain = (x: Tensor, like = x): boolean => x.dtype === 'float32' && sameShape(x.shape, like.shape)

/** The least number of elements of a channel in one example. */
const LEAST_ROW = 16

/** Whether a tensor is float32 [n]. */
const isRow = (x: Tensor | undefined, n: number): boolean =>
  x === undefined || (x.dtype === 'float32' && x.rank === 1 && x.shape[0] === n)

/** The rows of a tensor: the last axis is contiguous, and the step between rows is constant. */
interface Rows {
  readonly pointer: number
  readonly rows: number
  readonly n: number
  /** bytes */
  readonly step: number
}

export function fusedKernels(workspace: Workspace): Partial<FusedKernels> {
  const { axes, threads } = workspace

  /** kernel(lane, block, first number, numbers, part) over whole blocks of n numbers, in several threads */
  const overBlocks = (
    n: number,
    kernel: (lane: Lane, block: number, at: number, count: number, part: number) => void,
  ): void =>
    threads.share(Math.ceil(n / MOMENT_BLOCK), grains.compute / MOMENT_BLOCK, (lane, first, last, part) => {
      const at = first * MOMENT_BLOCK
      kernel(lane, first, at, Math.min(n, last * MOMENT_BLOCK) - at, part)
    })

  /** What a kernel needs of a moment: its address, the bytes of a block, the number of its format, its seed. */
  const momentAt = ({ format, words, seed }: PackedMoment) => ({
    at: workspace.address(words),
    step: 4 * wordsPerBlock(format),
    format: momentFormats.indexOf(format),
    seed,
  })

  /** kernel(code, out, x, rows, n) over the last axis */
  const overRows = (x: Tensor, kernel: (code: CpuModule, ...at: Parameters<CpuModule['softmax']>) => void) => {
    if (!isPlain(x) || x.rank === 0) return undefined
    const n = x.shape[x.rank - 1]
    return workspace.tensor('float32', x.shape, (out, size) => {
      const from = workspace.dense(x)
      threads.share(size / n, grains.compute / n, ({ code }, first, last) =>
        kernel(code, out + 4 * n * first, from + 4 * n * first, last - first, n),
      )
    })
  }

  /** kernel(code, out, g, x, rows, n) over the last axis */
  const gradientOverRows = (
    g: Tensor,
    x: Tensor,
    kernel: (code: CpuModule, ...at: Parameters<CpuModule['softmaxGradient']>) => void,
  ) => {
    if (!isPlain(x) || !isPlain(g, x) || x.rank === 0) return undefined
    const n = x.shape[x.rank - 1]
    return workspace.tensor('float32', x.shape, (out, size) => {
      const [slope, from] = [workspace.dense(g), workspace.dense(x)]
      threads.share(size / n, grains.compute / n, ({ code }, first, last) => {
        const at = 4 * n * first
        kernel(code, out + at, slope + at, from + at, last - first, n)
      })
    })
  }

  /** The rows of a tensor, copied only if the step between them varies. */
  const rowsOf = (x: Tensor): Rows => {
    const n = x.shape[x.rank - 1]
    const rows = x.size / n
    const outer = x.shape.slice(0, -1)
    axes.join(outer, { shape: outer, strides: x.strides.slice(0, -1) }, 4)
    const isRegular = axes.n1 === 1 && (n === 1 || x.strides[x.rank - 1] === 1)
    if (isRegular) return { pointer: workspace.address(x), rows, n, step: axes.x0 }
    return { pointer: workspace.dense(x), rows, n, step: 4 * n }
  }

  const takesClasses = (x: Tensor, ids: Tensor) =>
    x.dtype === 'float32' &&
    x.rank > 0 &&
    x.size > 0 &&
    ids.dtype === 'int32' &&
    sameShape(ids.shape, x.shape.slice(0, -1))

  /** [batch, channels, ...] with rows of some vectors: shorter ones are not worth their own statistics. */
  const takesChannels = (x: Tensor) =>
    isPlain(x) && x.rank > 2 && x.size > 0 && x.size / (x.shape[0] * x.shape[1]) >= LEAST_ROW

  /** float32 [n] that another kernel fills beside its result. */
  const row = (n: number) => workspace.tensor('float32', [n], () => {})

  return {
    softmax: x => overRows(x, (code, ...at) => code.softmax(...at)),
    softmaxGradient: (g, y) => gradientOverRows(g, y, (code, ...at) => code.softmaxGradient(...at)),
    logSoftmax: x => overRows(x, (code, ...at) => code.logSoftmax(...at)),
    logSoftmaxGradient: (g, y) => gradientOverRows(g, y, (code, ...at) => code.logSoftmaxGradient(...at)),
    standardize: (x, epsilon) => overRows(x, (code, ...at) => code.standardize(...at, epsilon)),
    standardizeGradient: (g, x, epsilon) =>
      gradientOverRows(g, x, (code, ...at) => code.standardizeGradient(...at, epsilon)),

    layerNorm(x, weight, bias, epsilon) {
      const n = x.shape[x.rank - 1]
      if (!isPlain(x) || x.rank === 0 || !isRow(weight, n) || !isRow(bias, n)) return undefined
      return workspace.tensor('float32', x.shape, (out, size) => {
        const [from, w, b] = [workspace.dense(x), workspace.dense(weight), workspace.dense(bias)]
        threads.share(size / n, grains.compute / n, ({ code }, first, last) =>
          code.layerNorm(out + 4 * n * first, from + 4 * n * first, w, b, last - first, n, epsilon),
        )
      })
    },

    layerNormGradient(g, x, weight, epsilon) {
      const n = x.shape[x.rank - 1]
      if (!isPlain(x) || !isPlain(g, x) || x.size === 0 || !isRow(weight, n)) return undefined
      const [byWeight, byBias] = [row(n), row(n)]
      const byX = workspace.tensor('float32', x.shape, out => {
        const [slope, from, w] = [workspace.dense(g), workspace.dense(x), workspace.dense(weight)]
        const [run, sums] = [workspace.passing(8 * n * threads.count), workspace.passing(16 * n * threads.parts)]
        workspace.fill(sums, 0, 4 * n * threads.parts, 'int32')
        threads.share(x.size / n, grains.compute / n, ({ code, index }, first, last, part) => {
          const at = 4 * n * first
          const [own, mine] = [sums + 16 * n * part, run + 8 * n * index]
          code.layerNormGradient(out + at, own, slope + at, from + at, w, last - first, n, epsilon, mine)
        })
        workspace.code.addSums(workspace.address(byWeight), sums, threads.parts, n, 16 * n)
        workspace.code.addSums(workspace.address(byBias), sums + 8 * n, threads.parts, n, 16 * n)
      })
      return [byX, byWeight, byBias]
    },

    batchNorm(x, weight, bias, epsilon) {
      if (!takesChannels(x) || !isRow(weight, x.shape[1]) || !isRow(bias, x.shape[1])) return undefined
      const [batch, channels] = x.shape
      return workspace.tensor('float32', x.shape, (out, size) => {
        const [from, w, b] = [workspace.dense(x), workspace.dense(weight), workspace.dense(bias)]
        const n = size / (batch * channels)
        threads.share(channels, grains.compute / (batch * n), ({ code }, first, last) =>
          code.batchNorm(out, from, w, b, first, last, channels, batch, n, epsilon),
        )
      })
    },

    batchNormGradient(g, x, weight, epsilon) {
      if (!takesChannels(x) || !isPlain(g, x) || !isRow(weight, x.shape[1])) return undefined
      const [batch, channels] = x.shape
      const [byWeight, byBias] = [row(channels), row(channels)]
      const byX = workspace.tensor('float32', x.shape, out => {
        const [slope, from, w] = [workspace.dense(g), workspace.dense(x), workspace.dense(weight)]
        const [toWeight, toBias] = [workspace.address(byWeight), workspace.address(byBias)]
        const n = x.size / (batch * channels)
        threads.share(channels, grains.compute / (batch * n), ({ code }, first, last) =>
          code.batchNormGradient(out, toWeight, toBias, slope, from, w, first, last, channels, batch, n, epsilon),
        )
      })
      return [byX, byWeight, byBias]
    },

    topk: (...args) => topk(workspace, ...args),

    gelu: x =>
      isPlain(x)
        ? workspace.tensor('float32', x.shape, (out, size) => {
            const from = workspace.dense(x)
            threads.share(
              size,
              grains.compute,
              ({ code }, first, last) => code.gelu(out + 4 * first, from + 4 * first, last - first),
              16,
            )
          })
        : undefined,

    geluGradient: (g, x) =>
      isPlain(x) && isPlain(g, x)
        ? workspace.tensor('float32', x.shape, (out, size) => {
            const [slope, from] = [workspace.dense(g), workspace.dense(x)]
            threads.share(
              size,
              grains.compute,
              ({ code }, first, last) => {
                const at = 4 * first
                code.geluGradient(out + at, slope + at, from + at, last - first)
              },
              16,
            )
          })
        : undefined,

    linear(x, weight, bias) {
      const [outputs, inputs] = weight.shape
      if (!isPlain(x) || weight.dtype !== 'float32' || inputs === 0 || !isRow(bias, outputs)) return undefined
      return workspace.tensor('float32', [...x.shape.slice(0, -1), outputs], (out, size) => {
        const { pointer, step } = rowsOf(x)
        const [row, column] = weight.strides.map(stride => 4 * stride)
        const w = transposed({ pointer: workspace.address(weight), row, column })
        const b = bias && workspace.dense(bias)
        multiply(workspace, out, { pointer, row: step, column: 4 }, w, size / outputs, outputs, inputs, b)
      })
    },

    attention: input => attention(workspace, input),
    attentionGradient: (g, input) => attentionGradient(workspace, g, input),

    convolution: (...args) => convolution(workspace, ...args),
    convolutionTransposed: (...args) => convolutionTransposed(workspace, ...args),
    convolutionByWeight: (...args) => convolutionByWeight(workspace, ...args),
    maxPool: (...args) => maxPool(workspace, ...args),
    maxPoolGradient: (...args) => maxPoolGradient(workspace, ...args),

    negativeLogLikelihood(x, ids) {
      if (!takesClasses(x, ids)) return undefined
      workspace.checkIndices('gather', ids, x.shape[x.rank - 1])
      return workspace.tensor('float32', ids.shape, out => {
        const { pointer, rows, n, step } = rowsOf(x)
        const targets = workspace.dense(ids)
        threads.share(rows, grains.compute / n, ({ code }, first, last) =>
          code.negativeLogLikelihood(
            out + 4 * first,
            pointer + first * step,
            targets + 4 * first,
            last - first,
            n,
            step,
          ),
        )
      })
    },

    negativeLogLikelihoodGradient(g, x, ids) {
      if (!takesClasses(x, ids) || g.dtype !== 'float32' || !sameShape(g.shape, ids.shape)) return undefined
      workspace.checkIndices('gather', ids, x.shape[x.rank - 1])
      return workspace.tensor('float32', x.shape, out => {
        const { pointer, rows, n, step } = rowsOf(x)
        const [slopes, targets] = [workspace.dense(g), workspace.dense(ids)]
        threads.share(rows, grains.compute / n, ({ code }, first, last) => {
          const [slope, target] = [slopes + 4 * first, targets + 4 * first]
          code.negativeLogLikelihoodGradient(
            out + 4 * n * first,
            slope,
            pointer + first * step,
            target,
            last - first,
            n,
            step,
          )
        })
      })
    },

    accumulate(target, x) {
      if (!isPlain(target) || !isPlain(x, target) || !target.isContiguous) return undefined
      if (target.size === 0) return true
      const [to, from] = [workspace.address(target), workspace.address(x)]
      axes.join(target.shape, target, 4, x, 4)
      const { x2, x1, x0, y2, y1, y0 } = axes
      axes.share(threads, grains.move, ({ code }, a, b, _z, _before, n2, n1, n0) =>
        code.binary_f32(binaries.add, to + a, to + a, from + b, n2, n1, n0, x2, x1, x0, y2, y1, y0),
      )
      return true
    },

    scaleInPlace(xs, factor) {
      if (typeof factor !== 'number' || !xs.every(x => isPlain(x) && isWhole(x))) return undefined
      if (factor === 1) return true
      const row = rowOf(xs.map(x => x.size))
      const to = xs.map(x => workspace.address(x))
      const scalar = workspace.place(factor, 'float32', 0).pointer
      threads.share(
        row.total,
        grains.move,
        ({ code }, first, last) =>
          row.each(first, last, (i, at, count) => {
            const x = to[i] + 4 * at
            if (factor === 0) code.fill_32(x, scalar, count)
            else code.binary_f32(binaries.mul, x, x, scalar, 1, 1, count, 0, 0, 4, 0, 0, 0)
          }),
        16,
      )
      return true
    },

    sumOfSquares(xs) {
      if (!xs.every(x => isPlain(x))) return undefined
      return workspace.tensor('float32', [], out => {
        const row = rowOf(xs.map(x => x.size))
        const from = xs.map(x => workspace.dense(x))
        const sums = workspace.passing(8 * threads.parts)
        workspace.fill(sums, 0, 2 * threads.parts, 'int32')
        threads.share(
          row.total,
          grains.move,
          ({ code }, first, last, part) =>
            row.each(first, last, (i, at, count) => code.addSquares(sums + 8 * part, from[i] + 4 * at, count)),
          16,
        )
        workspace.code.addSums(out, sums, threads.parts, 1, 8)
      })
    },

    adamwInPlace(updates) {
      const isOwn = (x: Tensor, like: Tensor) => isPlain(x, like) && isWhole(x)
      for (const { value, gradient, firstMoment, secondMoment } of updates) {
        if (!isPlain(gradient, value) || !isOwn(value, value)) return undefined
        if (!isOwn(firstMoment, value) || !isOwn(secondMoment, value)) return undefined
      }
      const row = rowOf(updates.map(({ value }) => value.size))
      const parts = updates.map(({ value, gradient, firstMoment, secondMoment, numbers }) => ({
        x: workspace.address(value),
        m: workspace.address(firstMoment),
        v: workspace.address(secondMoment),
        slope: workspace.dense(gradient),
        numbers,
      }))
      threads.share(
        row.total,
        grains.compute,
        ({ code }, first, last) =>
          row.each(first, last, (i, at, count) => {
            const { x, m, v, slope, numbers } = parts[i]
            const { beta1, beta2, epsilon, kept, rate, deviation } = numbers
            code.adamw(
              x + 4 * at,
              slope + 4 * at,
              m + 4 * at,
              v + 4 * at,
              count,
              beta1,
              1 - beta1,
              beta2,
              1 - beta2,
              epsilon,
              kept,
              rate,
              deviation,
            )
          }),
        16,
      )
      workspace.done()
      return true
    },

    adamwPackedInPlace(updates) {
      for (const { value, gradient, firstMoment, secondMoment } of updates) {
        if (!isPlain(gradient, value) || !isPlain(value) || !isWhole(value)) return undefined
        if (![firstMoment, secondMoment].every(({ words }) => isWhole(words))) return undefined
      }
      const row = rowOf(updates.map(({ value }) => Math.ceil(value.size / MOMENT_BLOCK)))
      const parts = updates.map(({ value, gradient, firstMoment, secondMoment, numbers }) => {
        const { beta1, beta2, epsilon, kept, rate, deviation } = numbers
        return {
          n: value.size,
          x: workspace.address(value),
          slope: workspace.dense(gradient),
          m: momentAt(firstMoment),
          v: momentAt(secondMoment),
          settings: [beta1, 1 - beta1, beta2, 1 - beta2, epsilon, kept, rate, deviation] as const,
        }
      })
      const scratch = workspace.passing(1024 * threads.parts)
      threads.share(row.total, grains.compute / MOMENT_BLOCK, ({ code }, first, last, part) =>
        row.each(first, last, (i, block, blocks) => {
          const { n, x, slope, m, v, settings } = parts[i]
          const at = block * MOMENT_BLOCK
          const count = Math.min(n - at, blocks * MOMENT_BLOCK)
          const moments = [m.at + m.step * block, v.at + v.step * block] as const
          const formats = [m.format, v.format, m.seed, v.seed] as const
          code.adamwPacked(
            x + 4 * at,
            slope + 4 * at,
            ...moments,
            count,
            ...formats,
            at,
            scratch + 1024 * part,
            ...settings,
          )
        }),
      )
      workspace.done()
      return true
    },

    packMoments(x, format, seed) {
      if (!isPlain(x)) return undefined
      return workspace.tensor('int32', [momentWords(format, x.size)], out => {
        const from = workspace.dense(x)
        const scratch = workspace.passing(512 * threads.parts)
        const words = wordsPerBlock(format)
        overBlocks(x.size, ({ code }, block, at, count, part) =>
          code.packMoments(
            momentFormats.indexOf(format),
            out + 4 * words * block,
            from + 4 * at,
            count,
            at,
            seed,
            scratch + 512 * part,
          ),
        )
      })
    },

    unpackMoments({ format, words, shape }) {
      if (!isWhole(words)) return undefined
      return workspace.tensor('float32', shape, (out, size) => {
        const from = workspace.address(words)
        const scratch = workspace.passing(512 * threads.parts)
        const step = 4 * wordsPerBlock(format)
        overBlocks(size, ({ code }, block, at, count, part) =>
          code.unpackMoments(
            momentFormats.indexOf(format),
            out + 4 * at,
            from + step * block,
            count,
            scratch + 512 * part,
          ),
        )
      })
    },
  }
}

/** Several runs of numbers treated as one row, so that threads are synchronised once for all of them. */
function rowOf(sizes: readonly number[]) {
  let total = 0
  const starts = sizes.map(size => {
    total += size
    return total - size
  })
  return {
    total,
    /** Calls `part` for the elements first … last - 1: for each run its index, the start within it, and the number of elements. */
    each(first: number, last: number, part: (run: number, at: number, count: number) => void): void {
      starts.forEach((start, i) => {
        const [begin, end] = [Math.max(first, start), Math.min(last, start + sizes[i])]
        if (begin < end) part(i, begin - start, end - begin)
      })
    },
  }
}

/** Whether a tensor fills its memory contiguously. */
const isWhole = (x: Tensor): boolean => x.storage.length === x.size && isContiguous(x.shape, x.strides)
