// Attention, one head at a time: the scores of a head stay in the cache and are never written to memory. The gradient
// computes them again, which costs less than loading them (Dao et al. 2022, "FlashAttention").

import { product } from './gemm'
import { dotRow, maxRow, scaledExpRow, scaleRow } from './rows'
import { f } from './vector'

/** Addresses and steps of the parts of all heads, in bytes, written by ../attention.ts in this order. An address is a float64. */
@unmanaged
class Heads {
  q: f64
  k: f64
  v: f64
  /** 0 without a mask */
  mask: f64
  heads: i32
  queries: i32
  keys: i32
  width: i32
  size: i32
  causal: i32
  scale: f32
  qBatch: i32
  qHead: i32
  qToken: i32
  kBatch: i32
  kHead: i32
  kToken: i32
  vBatch: i32
  vHead: i32
  vToken: i32
  maskBatch: i32
  maskHead: i32
  maskQuery: i32
  maskKey: i32
}

/** Weights of one head: softmax(q kᵀ scale) over the allowed keys, 0 elsewhere; zeros for a query without allowed keys. */
function weigh(to: usize, q: usize, k: usize, mask: usize, at: Heads, scratch: usize): void {
  const keys = at.keys
  product(to, q, k, at.queries, keys, at.width, at.qToken, 4, 4, at.kToken, keys << 2, scratch, 0)
  for (let i = 0; i < at.queries; i++, to += keys << 2, mask += at.maskQuery) {
    const seen = at.causal ? max(0, min(keys, i + keys - at.queries + 1)) : keys
    if (at.scale <= 0) scaleRow(to, seen, at.scale)
    if (at.mask != 0) {
      for (let j = 0, m = mask; j < seen; j++, m += at.maskKey) if (!load<u8>(m)) store<f32>(to + (j << 2), -Infinity)
    }
    if (seen < keys) memory.fill(to + (seen << 2), 0, (keys - seen) << 2)
    if (seen == 0) continue
    const largest = maxRow(to, seen)
    const sum = scaledExpRow(to, seen, largest == -Infinity ? 0 : largest, at.scale <= 0 ? 1 : at.scale)
    // without allowed keys all are 0 already
    if (sum != 0) scaleRow(to, seen, f32(1 / sum))
  }
}

/** Heads first … last - 1 of all batches; out is [batch, queries, heads, size], `scores` holds the scores of one head. */
export function attention(out: usize, numbers: usize, first: i32, last: i32, scores: usize, scratch: usize): void {
  const at = changetype<Heads>(numbers)
  const step = (at.heads * at.size) << 2
  for (let i = first; i < last; i++) {
    const batch = i / at.heads
    const head = i % at.heads
    const q = usize(at.q) + batch * at.qBatch + head * at.qHead
    const k = usize(at.k) + batch * at.kBatch + head * at.kHead
    const v = usize(at.v) + batch * at.vBatch + head * at.vHead
    const mask = usize(at.mask) + batch * at.maskBatch + head * at.maskHead
    weigh(scores, q, k, mask, at, scratch)
    const to = out + batch * at.queries * step + ((head * at.size) << 2)
    product(to, scores, v, at.queries, at.size, at.keys, at.keys << 2, 4, at.vToken, 4, step, scratch, 0)
  }
}

/**
 * The gradients of q, k and v from that of the result, g, whose steps are given. They are [batch, tokens, heads, width].
 * `scores` holds the scores of two heads.
 */
export function attentionGradient(
  outQ: usize, outK: usize, outV: usize, numbers: usize, g: usize, gBatch: i32, gHead: i32, gToken: i32,
  first: i32, last: i32, scores: usize, scratch: usize,
): void {
  const at = changetype<Heads>(numbers)
  const queries = at.queries
  const keys = at.keys
  const row = keys << 2
  const step = (at.heads * at.width) << 2
  const stepV = (at.heads * at.size) << 2
  const slopes = scores + queries * row
  for (let i = first; i < last; i++) {
    const batch = i / at.heads
    const head = i % at.heads
    const q = usize(at.q) + batch * at.qBatch + head * at.qHead
    const k = usize(at.k) + batch * at.kBatch + head * at.kHead
    const v = usize(at.v) + batch * at.vBatch + head * at.vHead
    const mask = usize(at.mask) + batch * at.maskBatch + head * at.maskHead
    const from = g + batch * gBatch + head * gHead
    weigh(scores, q, k, mask, at, scratch)
    const toV = outV + batch * keys * stepV + ((head * at.size) << 2)
    product(toV, scores, from, keys, at.size, queries, 4, row, gToken, 4, stepV, scratch, 0)
    product(slopes, from, v, queries, keys, at.size, gToken, 4, 4, at.vToken, row, scratch, 0)
    for (let j = 0, y = scores, s = slopes; j < queries; j++, y += row, s += row) slopeRow(s, y, keys, at.scale)
    const toQ = outQ + batch * queries * step + ((head * at.width) << 2)
    const toK = outK + batch * keys * step + ((head * at.width) << 2)
    product(toQ, slopes, k, queries, at.width, keys, row, 4, at.kToken, 4, step, scratch, 0)
    product(toK, slopes, q, keys, at.width, queries, 4, row, at.qToken, 4, step, scratch, 0)
  }
}

/** g ← scale y (g - Σ g y): from the gradient of a row of weights to that of the products of query and keys. */
function slopeRow(g: usize, y: usize, n: i32, scale: f32): void {
  const dot = f32(dotRow(g, y, n))
  const end = g + (n << 2)
  for (; g + 16 <= end; g += 16, y += 16) {
    const slope = f32x4.mul(v128.load(y), f32x4.sub(v128.load(g), f(dot)))
    v128.store(g, f32x4.mul(slope, f(scale)))
  }
  for (; g < end; g += 4, y += 4) store<f32>(g, load<f32>(y) * (load<f32>(g) - dot) * scale)
}
