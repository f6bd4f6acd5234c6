// Records of pooling.

import * as ops from '../../../src/autograd/index.ts'
import { ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, positions, read, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

interface Windows {
  readonly kernel: readonly number[]
  readonly stride: readonly number[] | undefined
  readonly padding: readonly number[]
  readonly dilation: readonly number[]
  readonly ceilMode: boolean
}

/** f of the positions of every window; those outside of x too, but none beyond its padding. */
function pooled(
  { kernel, stride = kernel, padding, dilation, ceilMode }: Windows,
  x: Plain,
  f: (lead: readonly number[], window: readonly (readonly number[])[]) => number,
): Plain {
  const sizes = x.shape.slice(2)
  const counts = sizes.map((n, axis) => {
    const reach = dilation[axis] * (kernel[axis] - 1) + 1
    let count = 0
    const fits = () => count * stride[axis] + reach <= n + 2 * padding[axis]
    const begins = () => count * stride[axis] < n + padding[axis]
    const last = () => count === 0 || (count - 1) * stride[axis] + reach < n + 2 * padding[axis]
    while (ceilMode ? begins() && last() : fits()) count++
    return count
  })
  return make([...x.shape.slice(0, 2), ...counts], ([b, c, ...i]) => {
    const window = positions(kernel).map(j =>
      j.map((n, axis) => i[axis] * stride[axis] + n * dilation[axis] - padding[axis]),
    )
    return f(
      [b, c],
      window.filter(at => at.every((n, axis) => n < sizes[axis] + padding[axis])),
    )
  })
}

const isIn = (x: Plain, at: readonly number[]) => at.every((n, axis) => n >= 0 && n < x.shape[2 + axis])

const largest =
  (least: number) =>
  (windows: Windows & { readonly countIncludePad: boolean }, x: Plain): Plain =>
    pooled(windows, x, (lead, window) =>
      Math.max(least, ...window.filter(at => isIn(x, at)).map(at => read(x, [...lead, ...at]))),
    )

const maximum = {
  'of different numbers': largest(-Infinity),
  'of equal numbers': largest(-Infinity),
  'of whole numbers': largest(-(2 ** 31)),
}

const average = {
  'over windows': (windows: Windows & { readonly countIncludePad: boolean }, x: Plain): Plain =>
    pooled(windows, x, (lead, window) => {
      const inside = window.filter(at => isIn(x, at))
      const sum = total(inside.map(at => read(x, [...lead, ...at])))
      return sum / (windows.countIncludePad ? window : inside).length
    }),
}

/** f of the elements of every part of the spatial axes. */
export const parted = (x: Plain, sizes: readonly number[], f: (numbers: readonly number[]) => number): Plain =>
  make([...x.shape.slice(0, 2), ...sizes], ([b, c, ...at]) =>
    f(
      positions(x.shape.slice(2))
        .filter(position =>
          position.every((p, axis) => {
            const [n, m, i] = [x.shape[2 + axis], sizes[axis], at[axis]]
            // the element from p to p + 1 meets the part from i n / m to (i + 1) n / m
            return (p + 1) * m > i * n && p * m < (i + 1) * n
          }),
        )
        .map(position => read(x, [b, c, ...position])),
    ),
  )

const refusedPadding = (name: string, padding: string, kernel: string) =>
  `${name}: the padding ${padding} must be at most half the kernel ${kernel}`

export const pooling: readonly OperationRecord[] = [
  record('maxPool1d', maximum, [
    [
      () => ops.maxPool1d(zeros([1, 1, 3]), { kernel: 4 }),
      ShapeError,
      'maxPool1d: the kernel [4] is larger than the spatial axes [3] of x [1, 1, 3]',
    ],
    [
      () => ops.maxPool1d(zeros([1, 1, 3]), { kernel: 3, padding: 2 }),
      RangeError,
      refusedPadding('maxPool1d', '[2]', '[3]'),
    ],
  ]),
  record('maxPool2d', maximum, [
    [
      () => ops.maxPool2d(zeros([1, 3, 3]), { kernel: 2 }),
      ShapeError,
      'maxPool2d: x must be [batch, channels, height, width], not [1, 3, 3]; write x.unsqueeze(0) for one example',
    ],
    [
      () => ops.maxPool2d(zeros([1, 1, 0, 3]), { kernel: 1 }),
      ShapeError,
      'maxPool2d: the kernel [1, 1] is larger than the spatial axes [0, 3] of x [1, 1, 0, 3]',
    ],
  ]),
  record('maxPool3d', maximum, [
    [
      () => ops.maxPool3d(zeros([1, 1, 3, 3, 3]), { kernel: [2, 2] }),
      ShapeError,
      'maxPool3d: kernel [2, 2] must have one number for each of the 3 spatial axes, or be one number for all',
    ],
  ]),
  record('avgPool1d', average, [
    [
      () => ops.avgPool1d(zeros([1, 1, 3]), { kernel: 4 }),
      ShapeError,
      'avgPool1d: the kernel [4] is larger than the spatial axes [3] of x [1, 1, 3]',
    ],
  ]),
  record('avgPool2d', average, [
    [
      () => ops.avgPool2d(zeros([1, 1, 3, 3]), { kernel: 2, padding: [0, 2] }),
      RangeError,
      refusedPadding('avgPool2d', '[0, 2]', '[2, 2]'),
    ],
  ]),
  record('avgPool3d', average, [
    [
      () => ops.avgPool3d(zeros([1, 1, 3, 3]), { kernel: 2 }),
      ShapeError,
      'avgPool3d: x must be [batch, channels, depth, height, width], not [1, 1, 3, 3]',
    ],
  ]),
  record(
    'adaptiveAvgPool',
    { 'over parts of axes': (sizes, x) => parted(x, sizes, numbers => total(numbers) / numbers.length) },
    [
      [
        () => ops.adaptiveAvgPool(zeros([1, 1, 3, 3]), [2]),
        ShapeError,
        'adaptiveAvgPool: x must be [batch, channels, width], not [1, 1, 3, 3]',
      ],
      [
        () => ops.adaptiveAvgPool(zeros([1, 1, 3]), [0]),
        ShapeError,
        'adaptiveAvgPool: the sizes must be one to three whole numbers above 0, not [0]',
      ],
    ],
  ),
  record('adaptiveMaxPool', { 'over parts of axes': (sizes, x) => parted(x, sizes, numbers => Math.max(...numbers)) }, [
    [
      () => ops.adaptiveMaxPool(zeros([1, 1, 0]), [1]),
      ShapeError,
      'adaptiveMaxPool: the spatial axes of x [1, 1, 0] must have elements',
    ],
  ]),
]
