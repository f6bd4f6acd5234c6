// How the same elements may lie in memory: what an operation computes must not depend on it.

import {
  allocate,
  contiguousStrides,
  type Device,
  type DType,
  fromData,
  type Shape,
  sizeOf,
  Tensor,
} from '../tensor/index.ts'

export const layouts = ['plain', 'axes reversed', 'backwards', 'spaced'] as const

export type Layout = (typeof layouts)[number]

/** Strides, offset and length of the memory. */
function arrange(shape: Shape, lies: Layout): [strides: number[], offset: number, length: number] {
  const [plain, size] = [contiguousStrides(shape), sizeOf(shape)]
  if (size === 0) return [plain, 0, 0]
  switch (lies) {
    case 'plain':
      return [plain, 0, size]
    case 'axes reversed':
      return [contiguousStrides([...shape].reverse()).reverse(), 0, size]
    case 'backwards':
      return [plain.map(stride => -stride), size - 1, size]
    case 'spaced':
      return [plain.map(stride => 2 * stride), 1, 2 * size + 1]
  }
}

/**
 * A tensor whose i-th element, in row-major order, is element(i).
 * @param gap what stands in memory between elements
 */
export function layOut(
  element: (i: number) => number,
  shape: Shape,
  lies: Layout,
  { dtype, on, gap = 0 }: { readonly dtype: DType; readonly on: Device; readonly gap?: number },
): Tensor {
  const [strides, offset, length] = arrange(shape, lies)
  const memory = allocate(dtype, length).fill(gap)
  const counts = contiguousStrides(shape)
  for (let i = 0; i < sizeOf(shape); i++) {
    const at = shape.reduce((sum, n, axis) => sum + (Math.floor(i / counts[axis]) % n) * strides[axis], offset)
    memory[at] = element(i)
  }
  return new Tensor(fromData(memory, [length], on, dtype).storage, shape, strides, offset)
}
