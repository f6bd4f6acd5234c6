// Measures which tile is the fastest for the products that ran: each tile that fits computes the same product, in rounds, so
// that a card that changes its clock treats all alike. Another tile than the rule's is chosen only where it is clearly faster.

import { DeviceError, type ProductTiming, type Tuning } from '../device.ts'
import type { Shaders } from './engine.ts'
import type { Runtime, Strided } from './runtime.ts'
import { fits, ruleFor, type Tile, type TiledProduct, tiles, withoutTiles } from './tile-choices.ts'
import { productCall } from './tiles.ts'

/** Rounds, of which the median counts. */
const ROUNDS = 3

/** A tile that takes this many times the time of the fastest one in the first round is left out of the others. */
const HOPELESS = 2

/** A tile replaces the rule's if it takes at most this part of its time: less is noise. */
const CLEARLY = 0.95

/** The maximum number of times that a product is computed in one measurement. */
const MOST = 256

const median = (xs: readonly number[]): number => [...xs].sort((x, y) => x - y)[Math.floor(xs.length / 2)]

/** The number of elements from the start of the memory to the last one of a view. */
const extent = ({ shape, strides, offset }: Strided): number =>
  strides.reduce((sum, stride, i) => sum + Math.max(0, stride) * (shape[i] - 1), offset + 1)

/** Measures the products that ran and have no choice, the largest first, until the time is over. Throws DeviceError. */
export async function tune(runtime: Runtime, seconds: number): Promise<Tuning> {
  const { shaders, backend } = runtime.engine
  if (!shaders) throw withoutTiles(backend)
  if (!runtime.tiles.isUsed)
    throw new DeviceError('gpu: no product of matrices ran yet that tiles compute; run a step first, then tune', 'gpu')
  const { open } = runtime.tiles
  const end = performance.now() + 1000 * seconds
  const measured: ProductTiming[] = []
  const choices: [key: string, tile: Tile][] = []
  for (const [key, product] of open) {
    if (performance.now() >= end) break
    const rule = ruleFor(product)
    const times = await measure(runtime, shaders, product, rule)
    const timeOf = (tile: Tile) => times.get(tile) ?? Number.POSITIVE_INFINITY
    const best = [...times.keys()].reduce((x, y) => (timeOf(y) < timeOf(x) ? y : x), rule)
    const tile = timeOf(best) <= CLEARLY * timeOf(rule) ? best : rule
    choices.push([key, tile])
    const milliseconds = Object.fromEntries([...times].map(([{ name }, time]) => [name, time]))
    measured.push({ products: key, tile: tile.name, rule: rule.name, milliseconds })
  }
  for (const [key, tile] of choices) runtime.tiles.set(key, tile)
  return { measured, left: open.length - measured.length }
}

/** Milliseconds of one product by each tile that fits. */
async function measure(
  runtime: Runtime,
  shaders: Shaders,
  product: TiledProduct,
  rule: Tile,
): Promise<Map<Tile, number>> {
  const { a, b, bias } = product
  const candidates = [rule, ...tiles.filter(tile => tile !== rule && fits(product, tile))]
  const handle = runtime.upload(new Float32Array(Math.max(...[a, b, ...(bias ? [bias] : [])].map(extent))))
  const there = (x: Strided): Strided => ({ ...x, handle })
  const own: TiledProduct = { ...product, a: there(a), b: there(b), bias: bias && there(bias) }
  const run = (tile: Tile) => () => runtime.free(runtime.shade(productCall(own, tile)))
  try {
    // the first call of each compiles it and warms the card
    for (const tile of candidates) run(tile)()
    const first = await shaders.time(candidates.map(run), 1)
    const fastest = Math.min(...first)
    const { resolution } = shaders
    const kept = candidates.filter((tile, i) => tile === rule || first[i] <= Math.max(HOPELESS * fastest, resolution))
    const times = Math.min(MOST, Math.ceil((20 * resolution) / Math.max(fastest, resolution / 10)))
    const rounds = await shaders.time(Array.from({ length: ROUNDS }, () => kept.map(run)).flat(), times)
    const result = new Map(candidates.map((tile, i) => [tile, first[i]]))
    for (const [i, tile] of kept.entries())
      result.set(tile, median(rounds.filter((_, j) => j % kept.length === i)) / times)
    return result
  } finally {
    runtime.free(handle)
  }
}
