// Relative positions of tokens inside attention: rotary positions, which turn queries and keys, and ALiBi, which adds to the scores.

import { concat, stack } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { allocate, DTypeError, deviceOf, fromData, ShapeError, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** Options of {@link rotary}. */
export interface RotaryOptions {
  /** the pair i of n turns by an angle of position · base^(-i/n); default 10000 */
  readonly base?: number
  /**
   * which numbers are a pair: `half` (default) i and i + width/2, as in GPT-NeoX and Hugging Face's LLaMA; `interleaved` 2i and 2i + 1, as in
   * the paper and GPT-J
   */
  readonly pairs?: 'half' | 'interleaved'
  /** position of the first token, such as the number of tokens in a cache; default 0 */
  readonly start?: number
}
const rotaryOptions = {
  base: 10000,
  pairs: is.choice<'half' | 'interleaved'>('half', 'interleaved'),
  start: is.byDefault(0, is.size),
} satisfies Settings<RotaryOptions>

/**
 * Rotary positions (Su et al. 2021, section 3.2): each pair of numbers of a token at position p is turned by the angle p base^(-i/n), for the
 * pair i of n = width/2. The product of a turned query and a turned key depends on the distance of their positions alone.
 *
 *     rotary(q).attention(rotary(k), v, { causal: true })
 *
 * @param x queries or keys of one head or many, [..., tokens, width], with an even width
 * @returns the same shape
 * @throws ShapeError for an odd width or a tensor without an axis of tokens
 */
export function rotary(x: Tensor, options?: RotaryOptions): Tensor {
  const call = 'rotary(x, options)'
  checkArguments(call, [is.tensor], [x])
  const { base, pairs, start } = settle(call, options, rotaryOptions)
  const [tokens, width] = x.shape.slice(-2)
  if (x.rank < 2 || width % 2 !== 0)
    throw new ShapeError(`rotary: x must be [..., tokens, width] with an even width, not ${show(x.shape)}`, x.shape)
  if (x.dtype !== 'float32' && x.dtype !== 'float64')
    throw new DTypeError(`rotary: x must be floating, not ${x.dtype}`, x.dtype)
  const half = width / 2
  const turn = (f: (angle: number) => number): Tensor => {
    const data = allocate(x.dtype, [tokens, half], 'rotary')
    for (let p = 0; p < tokens; p++)
      for (let i = 0; i < half; i++) data[p * half + i] = f((start + p) * base ** (-i / half))
    return fromData(data, [tokens, half], deviceOf(x))
  }
  const [cos, sin] = [turn(Math.cos), turn(Math.sin)]
  const isHalf = pairs === 'half'
  const [a, b] = isHalf
    ? x.split(half, -1)
    : x
        .reshape([...x.shape.slice(0, -1), half, 2])
        .split(1, -1)
        .map(part => part.squeeze(-1))
  const turned = [a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin))]
  return isHalf ? concat(turned, -1) : stack(turned, -1).reshape(x.shape)
}

/** Slopes of n heads: a geometric sequence from 2^(-8/n), for a power of two; else that of the power below, and every other of the next. */
function slopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads))
  const sequence = (n: number) => Array.from({ length: n }, (_, i) => 2 ** ((-8 * (i + 1)) / n))
  const between = sequence(2 * power).filter((_, i) => i % 2 === 0)
  return [...sequence(power), ...between.slice(0, heads - power)]
}

/**
 * Attention with linear biases (Press et al. 2021): what is added to the scores of each head before softmax, -slope · distance, for queries that
 * stand at the end of the keys: [heads, queries, keys]. The slopes are 2^(-8i/heads) for the heads i = 1 …, and as in the authors' code where
 * their number is no power of two.
 *
 *     q.mul(1 / Math.sqrt(size)).matmul(k.transpose()).add(alibi(heads, tokens)).softmax().matmul(v)
 *
 * Under a causal mask it is the paper's; without one it is symmetric.
 */
export function alibi(heads: number, queries: number, keys: number = queries): Tensor {
  checkArguments('alibi(heads, queries, keys)', [is.count, is.size, is.size], [heads, queries, keys])
  const data = allocate('float32', [heads, queries, keys], 'alibi')
  let at = 0
  for (const slope of slopes(heads))
    for (let q = 0; q < queries; q++)
      for (let k = 0; k < keys; k++) data[at++] = -slope * Math.abs(q + keys - queries - k)
  return fromData(data, [heads, queries, keys])
}
