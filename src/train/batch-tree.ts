// A batch is the input of an objective's loss: tensors and typed arrays, in arrays and plain objects. Reading it, moving it to
// another device and saving it work leaf by leaf.

import { type DType, fromData, Tensor, type TypedArray } from '../tensor/index.ts'

/** A part of a batch that contains numbers. */
export type Leaf = Tensor | HostTensor | TypedArray

/** A tensor's values on the host. */
export class HostTensor {
  readonly data: TypedArray
  readonly shape: readonly number[]
  readonly dtype: DType

  constructor(data: TypedArray, shape: readonly number[], dtype: DType) {
    this.data = data
    this.shape = shape
    this.dtype = dtype
  }

  static async of(x: Tensor): Promise<HostTensor> {
    return new HostTensor(await x.data(), x.shape, x.dtype)
  }
}

const isLeaf = (value: unknown): value is Leaf =>
  [Tensor, HostTensor, Float32Array, Float64Array, Int32Array, Uint8Array].some(kind => value instanceof kind)

const isPlain = (value: object): boolean => [Object.prototype, null].includes(Object.getPrototypeOf(value))

/** Every leaf with its path, such as `labels.0`, in order. */
export function pathsOf(tree: unknown, path: readonly string[] = []): [path: string, leaf: Leaf][] {
  if (isLeaf(tree)) return [[path.join('.'), tree]]
  if (typeof tree !== 'object' || tree === null || !(Array.isArray(tree) || isPlain(tree))) return []
  return Object.entries(tree).flatMap(([name, branch]) => pathsOf(branch, [...path, name]))
}

export const leavesOf = (tree: unknown): Leaf[] => pathsOf(tree).map(([, leaf]) => leaf)

/** The same tree with other leaves. Values that are neither arrays nor plain objects are left unchanged. */
export function mapLeaves<T>(tree: T, f: (leaf: Leaf, path: string) => unknown, path: readonly string[] = []): T {
  if (isLeaf(tree)) return f(tree, path.join('.')) as T
  if (Array.isArray(tree)) return tree.map((branch, i) => mapLeaves(branch, f, [...path, String(i)])) as T
  if (typeof tree !== 'object' || tree === null || !isPlain(tree)) return tree
  return Object.fromEntries(
    Object.entries(tree).map(([name, branch]) => [name, mapLeaves(branch, f, [...path, name])]),
  ) as T
}

/** The same batch with its tensors' values on the host. */
export async function readBatch<T>(batch: T): Promise<T> {
  const read = new Map<Leaf, HostTensor>()
  for (const leaf of leavesOf(batch)) if (leaf instanceof Tensor) read.set(leaf, await HostTensor.of(leaf))
  return mapLeaves(batch, leaf => read.get(leaf) ?? leaf)
}

/** Arrays of floating-point numbers in one precision. */
export type Numbers = typeof Float32Array | typeof Float64Array

/**
 * A batch that was read, with tensors on the current device again.
 * @param numbers the precision of floating-point values; default unchanged
 */
export const writeBatch = <T>(batch: T, numbers?: Numbers): T =>
  mapLeaves(batch, leaf => {
    if (leaf instanceof Tensor) return leaf
    if (!(leaf instanceof HostTensor)) return inPrecision(leaf, numbers)
    const { data, shape, dtype } = leaf
    return fromData(inPrecision(data, numbers), shape, undefined, dtype === 'bool' ? 'bool' : undefined)
  })

const inPrecision = (data: TypedArray, numbers?: Numbers): TypedArray =>
  numbers && (data instanceof Float32Array || data instanceof Float64Array) ? numbers.from(data) : data
