// Records of resampling.

import * as ops from '../../../src/autograd/index.ts'
import { ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, positions, read, total } from '../plain.ts'
import { parted } from './pooling.ts'
import { type OperationRecord, record } from './record.ts'

const limited = (i: number, n: number) => Math.min(Math.max(i, 0), n - 1)
const triangle = (d: number) => Math.max(0, 1 - Math.abs(d))

/** The piecewise cubic that is 1 at 0 and 0 at 1 and 2, with the slopes 0, a and 0 there. */
const cubic = (a: number) => (distance: number) => {
  const d = Math.abs(distance)
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1
  return d < 2 ? a * (d - 1) * (d - 2) ** 2 : 0
}

/** Sums over all positions of the spatial axes, with the product of the weights along each. */
const weighted = (x: Plain, sizes: readonly number[], weight: (axis: number, i: number, j: number) => number): Plain =>
  make([...x.shape.slice(0, 2), ...sizes], ([b, c, ...i]) =>
    total(
      positions(x.shape.slice(2)).map(
        j => j.reduce((product, at, axis) => product * weight(axis, i[axis], at), 1) * read(x, [b, c, ...j]),
      ),
    ),
  )

/** The weight of the element j of an axis of size n, which stands for those beyond the axis too. */
function between(kernel: (distance: number) => number, position: number, j: number, n: number): number {
  let sum = 0
  for (let at = -4; at < n + 4; at++) if (limited(at, n) === j) sum += kernel(position - at)
  return sum
}

const interpolated =
  (kernel: (distance: number) => number) =>
  (
    options: { readonly size?: readonly number[]; readonly scale?: readonly number[]; readonly alignCorners?: boolean },
    x: Plain,
  ): Plain => {
    const sizes = sizesOf(options, x)
    return weighted(x, sizes, (axis, i, j) => {
      const [n, m] = [x.shape[2 + axis], sizes[axis]]
      const step = options.scale ? 1 / options.scale[axis] : n / m
      const position = options.alignCorners ? (m === 1 ? 0 : (i * (n - 1)) / (m - 1)) : (i + 0.5) * step - 0.5
      return between(kernel, position, j, n)
    })
  }

const sizesOf = (
  { size, scale }: { readonly size?: readonly number[]; readonly scale?: readonly number[] },
  x: Plain,
): readonly number[] => size ?? scale!.map((factor, axis) => Math.floor(factor * x.shape[2 + axis]))

/** The same with a kernel as wide as the distance of results, whose weights on elements add up to 1. */
const smoothed =
  (kernel: (distance: number) => number) =>
  ({ size }: { readonly size: readonly number[] }, x: Plain): Plain =>
    weighted(x, size, (axis, i, j) => {
      const [n, m] = [x.shape[2 + axis], size[axis]]
      const wide = Math.max(1, n / m)
      const weight = (at: number) => kernel((at + 0.5 - (i + 0.5) * (n / m)) / wide)
      return weight(j) / total(Array.from({ length: n }, (_, at) => weight(at)))
    })

const nearest = (
  options: { readonly size?: readonly number[]; readonly scale?: readonly number[] },
  x: Plain,
): Plain => {
  const sizes = sizesOf(options, x)
  return make([...x.shape.slice(0, 2), ...sizes], ([b, c, ...i]) =>
    read(x, [
      b,
      c,
      ...i.map((at, axis) => {
        const n = x.shape[2 + axis]
        return Math.min(n - 1, Math.floor(options.scale ? at / options.scale[axis] : (at * n) / sizes[axis]))
      }),
    ]),
  )
}

interface Grid {
  readonly alignCorners: boolean
  readonly paddingMode: 'zeros' | 'border' | 'reflection'
}

/** Sums over all elements of x, with the weight of their distance from the positions of a grid. */
const sampledBy =
  (kernel: (distance: number) => number) =>
  ({ alignCorners, paddingMode }: Grid, x: Plain, grid: Plain): Plain => {
    const sizes = x.shape.slice(2)
    return make([...x.shape.slice(0, 2), ...grid.shape.slice(1, -1)], ([b, c, ...at]) => {
      const place = sizes.map((n, axis) => {
        const g = read(grid, [b, ...at, sizes.length - 1 - axis]) + 1 / 16
        const position = alignCorners ? ((g + 1) / 2) * (n - 1) : ((g + 1) * n - 1) / 2
        if (paddingMode === 'zeros') return position
        return limited(paddingMode === 'border' ? position : mirrored(position, n, alignCorners), n)
      })
      return total(
        positions(sizes).map(
          j => j.reduce((product, i, axis) => product * kernel(place[axis] - i), 1) * read(x, [b, c, ...j]),
        ),
      )
    })
  }

function mirrored(position: number, n: number, alignCorners: boolean): number {
  const [low, high] = alignCorners ? [0, n - 1] : [-0.5, n - 0.5]
  if (low === high) return low
  let p = position
  while (p < low || p > high) p = p < low ? 2 * low - p : 2 * high - p
  return p
}

export const interpolation: readonly OperationRecord[] = [
  record(
    'interpolate',
    {
      'the nearest element': nearest,
      'the nearest element by a factor': nearest,
      'between two elements': interpolated(triangle),
      'between two elements by a factor': interpolated(triangle),
      'between four elements': interpolated(cubic(-0.75)),
      'smoothed, linear': smoothed(triangle),
      'smoothed, cubic': smoothed(cubic(-0.5)),
      'the mean of an area': ({ size }, x) => parted(x, size, numbers => total(numbers) / numbers.length),
    },
    [
      [
        () => ops.interpolate(zeros([1, 1, 3]), { size: 2, scale: 2 }),
        RangeError,
        'interpolate: either the size or the scale must be given',
      ],
      [
        () => ops.interpolate(zeros([1, 1, 3]), { size: [2, 2] }),
        ShapeError,
        'interpolate: size [2, 2] must have one number for each of the 1 spatial axes, or be one number for all',
      ],
      [
        () => ops.interpolate(zeros([1, 1, 3]), { size: 2, antialias: true }),
        RangeError,
        "interpolate: antialias belongs to the modes 'bilinear' and 'bicubic', not to 'nearest'",
      ],
      [
        () => ops.interpolate(zeros([1, 1, 3]), { scale: 0.25 }),
        ShapeError,
        'interpolate: the scale [0.25] leaves nothing of the spatial axes of x [1, 1, 3]',
      ],
      [
        () => ops.interpolate(zeros([1, 3]), { size: 2 }),
        ShapeError,
        'interpolate: x must be [batch, channels, width], not [1, 3]',
      ],
      [
        () => ops.interpolate(zeros([1, 1, 0]), { size: 2 }),
        ShapeError,
        'interpolate: the spatial axes of x [1, 1, 0] must have elements',
      ],
    ],
  ),
  record(
    'gridSample',
    {
      'between elements': sampledBy(triangle),
      'the nearest element': sampledBy(distance => (Math.abs(distance) < 0.5 ? 1 : 0)),
    },
    [
      [
        () => ops.gridSample(zeros([1, 1, 3, 3]), zeros([1, 2, 2, 3])),
        ShapeError,
        'gridSample: the grid must be [1, n, n, 2] for x [1, 1, 3, 3], not [1, 2, 2, 3]',
      ],
      [
        () => ops.gridSample(zeros([1, 1, 0]), zeros([1, 2, 1])),
        ShapeError,
        'gridSample: the spatial axes of x [1, 1, 0] must have elements',
      ],
    ],
  ),
  record(
    'pixelShuffle',
    {
      'channels as pixels': (r, x) => {
        const [channels, h, w] = x.shape.slice(-3)
        return make([...x.shape.slice(0, -3), channels / r ** 2, h * r, w * r], at => {
          const [c, i, j] = at.slice(-3)
          const channel = c * r ** 2 + (i % r) * r + (j % r)
          return read(x, [...at.slice(0, -3), channel, Math.floor(i / r), Math.floor(j / r)])
        })
      },
    },
    [
      [
        () => ops.pixelShuffle(zeros([1, 3, 2, 2]), 2),
        ShapeError,
        'pixelShuffle: x must be [..., channels, height, width] with a multiple of 4 channels for the factor 2, not [1, 3, 2, 2]',
      ],
    ],
  ),
  record(
    'pixelUnshuffle',
    {
      'pixels as channels': (r, x) => {
        const [channels, h, w] = x.shape.slice(-3)
        return make([...x.shape.slice(0, -3), channels * r ** 2, h / r, w / r], at => {
          const [c, i, j] = at.slice(-3)
          const [k, l] = [Math.floor((c % r ** 2) / r), c % r]
          return read(x, [...at.slice(0, -3), Math.floor(c / r ** 2), i * r + k, j * r + l])
        })
      },
    },
    [
      [
        () => ops.pixelUnshuffle(zeros([1, 3, 2]), 2),
        ShapeError,
        'pixelUnshuffle: x must be [..., channels, height, width] with a height and a width that 2 divides, not [1, 3, 2]',
      ],
    ],
  ),
]
