// Attention of many heads in one call: the layout of the arguments, and the assignment of heads to threads. Results are
// stored as [batch, tokens, heads, width], whatever the order of their axes, because the next layer reads them in this
// order.

import type { AttentionInput } from '../fused-kernels.ts'
import { broadcastShapes, broadcastStrides, type Shape, sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Workspace } from './workspace.ts'

/** The number of multiplications from which on a part is given to another thread. */
const GRAIN = 60_000
/** The maximum number of scores of one head; above it, the definition runs. */
const GREATEST = 2 ** 22

/** A tensor as [batch, heads, tokens, size] with steps in bytes; the last axis is contiguous. */
interface Parts {
  readonly pointer: number
  readonly steps: readonly [batch: number, head: number, token: number]
}

/** The sizes of one call, the parts of its arguments, and the leading axes they share. */
interface Layout {
  readonly stack: Shape
  readonly batch: number
  readonly heads: number
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly size: number
}

function layoutOf({ q, k, v, mask }: AttentionInput): Layout | undefined {
  const [queries, width] = q.shape.slice(-2)
  const [keys, size] = v.shape.slice(-2)
  if ([q, k, v].some(x => x.dtype !== 'float32' || x.rank < 2 || x.rank > 4)) return undefined
  if (width * size * queries * keys === 0 || queries * keys > GREATEST) return undefined
  const scores = broadcastShapes(
    'attention',
    q.shape.slice(0, -2),
    k.shape.slice(0, -2),
    mask?.shape.slice(0, -2) ?? [],
  )
  const stack = broadcastShapes('attention', scores, v.shape.slice(0, -2))
  if (stack.length > 2 || sizeOf(stack) === 0) return undefined
  const [batch, heads] = [...new Array(2 - stack.length).fill(1), ...stack]
  return { stack, batch, heads, queries, keys, width, size }
}

/** The address and steps of a tensor's heads; the tensor is copied first if its last axis is not contiguous. */
function partsOf(workspace: Workspace, x: Tensor, { batch, heads }: Layout): Parts {
  const [tokens, width] = x.shape.slice(-2)
  const inOrder = width === 1 || x.strides[x.rank - 1] === 1
  const pointer = inOrder ? workspace.address(x) : workspace.dense(x)
  const strides = inOrder ? x.strides : x.shape.map((_, i) => sizeOf(x.shape.slice(i + 1)))
  const full = broadcastStrides(x.shape, strides, [batch, heads, tokens, width])
  return { pointer, steps: [4 * full[0], 4 * full[1], 4 * full[2]] }
}

/** Writes the fields of the class Heads in assembly/attention.ts. */
function describe(
  workspace: Workspace,
  at: number,
  input: AttentionInput,
  layout: Layout,
  parts: readonly Parts[],
): void {
  const { heads, queries, keys, width, size, batch } = layout
  const { mask, causal, scale } = input
  const pointers = [...parts.map(({ pointer }) => pointer), mask ? workspace.address(mask) : 0]
  const seen = mask ? broadcastStrides(mask.shape, mask.strides, [batch, heads, queries, keys]) : [0, 0, 0, 0]
  const fields = new ArrayBuffer(BYTES)
  new Float64Array(fields).set(pointers)
  const first = 2 * pointers.length
  const words = new Int32Array(fields)
  words.set([heads, queries, keys, width, size, causal ? 1 : 0], first)
  new Float32Array(fields)[first + 6] = scale
  words.set([...parts.flatMap(({ steps }) => steps), ...seen], first + 7)
  workspace.put(at, words)
}

/** The size of the class Heads. */
const BYTES = 112

/** softmax(q kᵀ scale) v over the keys that the mask allows. */
export function attention(workspace: Workspace, input: AttentionInput): Tensor | undefined {
  const layout = layoutOf(input)
  if (!layout) return undefined
  const { stack, batch, heads, queries, keys, width, size } = layout
  const result = workspace.tensor('float32', [batch, queries, heads, size], out => {
    const at = workspace.passing(BYTES)
    const parts = [input.q, input.k, input.v].map(x => partsOf(workspace, x, layout))
    describe(workspace, at, input, layout, parts)
    const bytes = 4 * queries * keys
    const scores = workspace.passing(bytes * workspace.threads.count)
    const grain = Math.ceil(GRAIN / (queries * keys * (width + size)))
    workspace.threads.share(batch * heads, grain, ({ code, index, scratch }, first, last) =>
      code.attention(out, at, first, last, scores + index * bytes, scratch),
    )
  })
  return result.view([...stack, queries, size], headStrides(stack, queries, size))
}

/** Strides of [...stack, tokens, size] whose memory is [batch, tokens, heads, size]. */
function headStrides(stack: Shape, tokens: number, size: number): number[] {
  const heads = stack.length === 0 ? 1 : stack[stack.length - 1]
  return [tokens * heads * size, size].slice(2 - stack.length).concat([heads * size, 1])
}

/** Gradients of q, k and v for all leading axes, in one tensor. */
export function attentionGradient(workspace: Workspace, g: Tensor, input: AttentionInput): Tensor | undefined {
  const layout = layoutOf(input)
  if (!layout || g.dtype !== 'float32') return undefined
  const { batch, heads, queries, keys, width, size } = layout
  const count = batch * heads
  return workspace.tensor('float32', [count * (queries * width + keys * width + keys * size)], out => {
    const at = workspace.passing(BYTES)
    const parts = [input.q, input.k, input.v].map(x => partsOf(workspace, x, layout))
    describe(workspace, at, input, layout, parts)
    const gradient = partsOf(workspace, g, layout)
    const bytes = 8 * queries * keys
    const scores = workspace.passing(bytes * workspace.threads.count)
    const grain = Math.ceil(GRAIN / (queries * keys * 2 * (width + size)))
    const outK = out + 4 * count * queries * width
    const outV = outK + 4 * count * keys * width
    workspace.threads.share(count, grain, ({ code, index, scratch }, first, last) => {
      const mine = scores + index * bytes
      code.attentionGradient(out, outK, outV, at, gradient.pointer, ...gradient.steps, first, last, mine, scratch)
    })
  })
}
