// Layouts of the same elements in memory, on which the result of an operation must not depend.

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

export const layouts = ['plain', 'axes reversed', 'backwards', 'spaced', 'padded'] as const

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
    case 'padded': {
      // a part of a larger tensor: every axis is longer by one in memory
      const whole = shape.map(n => n + 1)
      return [contiguousStrides(whole), 0, sizeOf(whole)]
    }
  }
}

/**
 * A tensor whose i-th element, in row-major order, is element(i).
 * @param gap value in memory between the elements
 */
export function layOut(
  element: (i: number) => number,
  shape: Shape,
  lies: Layout,
  { dtype, on, gap = 0 }: { readonly dtype: DType; readonly on: Device; readonly gap?: number },
): Tensor {
  const [strides, offset, length] = arrange(shape, lies)
  const memory = allocate(dtype, [length]).fill(gap)
  const position = shape.map(() => 0)
  for (let [i, at] = [0, offset]; i < sizeOf(shape); i++) {
    memory[at] = element(i)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]
      if (++position[axis] < shape[axis]) break
      at -= strides[axis] * shape[axis]
      position[axis] = 0
    }
  }
  return new Tensor(fromData(memory, [length], on, dtype).storage, shape, strides, offset)
}
