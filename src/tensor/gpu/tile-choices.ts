// Which tile computes a product of matrices. The rule takes the largest tile that gives enough workgroups; a choice that was
// measured on the card (tune.ts), or is given, comes first. Choices are kept by class: products whose sizes have the same
// next powers of two. The first product of each class is remembered, so that it can be measured.

import { DeviceError, type GpuBackend, type Tiles } from '../device.ts'
import { given, isPlain } from '../given.ts'
import { sizeOf } from '../shape.ts'
import type { Strided } from './handle.ts'
import { WIDEST } from './shader.ts'

/** A tile of [rows, columns] by 256 threads, each of which has `each` rows of four results. */
export interface Tile {
  /** rows × columns */
  readonly name: string
  readonly rows: number
  readonly columns: number
  readonly each: 1 | 4 | 8
  /** inner elements of a slab; a part of the threads adds each of its `slices`, so that small results have many threads too */
  readonly depth: number
  readonly slices: 1 | 4
}

/** The more results a thread has, the less often an element is read; at most 16 KiB of shared memory. */
export const tiles: readonly Tile[] = [
  { name: '128x64', rows: 128, columns: 64, each: 8, depth: 16, slices: 1 },
  { name: '64x64', rows: 64, columns: 64, each: 4, depth: 16, slices: 1 },
  { name: '32x32', rows: 32, columns: 32, each: 4, depth: 32, slices: 4 },
  { name: '16x16', rows: 16, columns: 16, each: 1, depth: 64, slices: 4 },
]

/** The number of tiles from which a card is busy: the smallest tile is taken if no larger one gives so many. */
const BUSY = 128

/** A stack of products [m, k] times the transpose of [n, k], plus a bias [n]. */
export interface TiledProduct {
  /** the operation, for errors */
  readonly name: string
  readonly a: Strided
  readonly b: Strided
  readonly bias?: Strided
  readonly m: number
  readonly n: number
  readonly k: number
  readonly stack: Stack
}

/** The axes of a stack, joined to two. */
export interface Stack {
  /** the strides of the two axes in both operands */
  readonly a: readonly [number, number]
  readonly b: readonly [number, number]
  /** size of the second axis */
  readonly inner: number
  /** number of matrices */
  readonly count: number
}

export const groupsOf = (
  { m, n, stack }: Pick<TiledProduct, 'm' | 'n' | 'stack'>,
  { rows, columns }: Tile,
): [number, number, number] => [Math.ceil(n / columns), Math.ceil(m / rows), stack.count]

/** The tile that is taken where none was measured. */
export const ruleFor = (product: TiledProduct): Tile =>
  tiles.find(tile => sizeOf(groupsOf(product, tile)) >= BUSY) ?? tiles[tiles.length - 1]

/** Whether a dispatch may have so many workgroups. */
export const fits = (product: TiledProduct, tile: Tile): boolean =>
  groupsOf(product, tile).every(count => count <= WIDEST)

/** The next power of two. */
const roundUp = (n: number): number => 2 ** Math.ceil(Math.log2(n))

/** Such as 64x128x32 for [m, k] = [50, 20] times [20, 100], and 8*64x128x32 for a stack of up to eight of them. */
export function classOf({ m, n, k, stack }: TiledProduct): string {
  const sizes = `${roundUp(m)}x${roundUp(n)}x${roundUp(k)}`
  return stack.count === 1 ? sizes : `${roundUp(stack.count)}*${sizes}`
}

const isClass = (key: string): boolean =>
  /^([1-9]\d*\*)?[1-9]\d*x[1-9]\d*x[1-9]\d*$/.test(key) &&
  key.split(/[*x]/).every(part => `${roundUp(Number(part))}` === part)

export const withoutTiles = (backend: GpuBackend): DeviceError =>
  new DeviceError(`gpu: tiles are those of webgpu; ${backend} has none to choose from`, 'gpu')

/** The tile of each class. Throws DeviceError that names the entry that is wrong. */
export function checkTiles(chosen: Tiles): Map<string, Tile> {
  const advice = 'pass what device.tiles had after device.tune()'
  if (!isPlain(chosen))
    throw new DeviceError(`gpu: tiles must be an object of tiles by class, not ${given(chosen)}; ${advice}`, 'gpu')
  return new Map(
    Object.entries(chosen).map(([key, name]) => {
      if (!isClass(key))
        throw new DeviceError(
          `gpu: tiles has the entry ${given(key)}, which is no class of products, such as '256x64x512' or '8*64x64x32' with powers of two; ${advice}`,
          'gpu',
        )
      const tile = tiles.find(tile => tile.name === name)
      if (tile) return [key, tile]
      throw new DeviceError(
        `gpu: tiles[${given(key)}] is ${given(name)}; the tiles are ${tiles.map(tile => tile.name).join(', ')}`,
        'gpu',
      )
    }),
  )
}

export class TileChoices {
  #chosen = new Map<string, Tile>()
  /** by class the first product that ran */
  readonly #met = new Map<string, TiledProduct>()

  /** The tile of a product. */
  choose(product: TiledProduct, rule: Tile): Tile {
    const key = classOf(product)
    if (!this.#met.has(key)) this.#met.set(key, withoutValues(product))
    const chosen = this.#chosen.get(key)
    return chosen && fits(product, chosen) ? chosen : rule
  }

  /** The products that ran of classes without a choice, the largest first. */
  get open(): (readonly [key: string, product: TiledProduct])[] {
    const work = ({ m, n, k, stack }: TiledProduct) => m * n * k * stack.count
    return [...this.#met].filter(([key]) => !this.#chosen.has(key)).sort(([, a], [, b]) => work(b) - work(a))
  }

  /** Whether any product ran. */
  get isUsed(): boolean {
    return this.#met.size > 0
  }

  set(key: string, tile: Tile): void {
    this.#chosen.set(key, tile)
  }

  /** Takes these choices and no others. */
  replace(chosen: ReadonlyMap<string, Tile>): void {
    this.#chosen = new Map(chosen)
  }

  /** The choices as a plain object. */
  get all(): Tiles {
    return Object.fromEntries([...this.#chosen].map(([key, { name }]) => [key, name]))
  }
}

/** A product that keeps no memory alive: the same layout at the start of a memory, aligned as before. */
function withoutValues(product: TiledProduct): TiledProduct {
  const { a, b, bias } = product
  const moved = (x: Strided): Strided => {
    const first = x.strides.reduce((sum, stride, i) => sum + Math.min(0, stride) * (x.shape[i] - 1), 0)
    return { ...x, handle: { memory: null, length: 0 }, offset: ((x.offset + first) % 4) - first }
  }
  return { ...product, a: moved(a), b: moved(b), bias: bias && moved(bias) }
}
