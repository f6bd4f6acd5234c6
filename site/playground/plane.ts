// Points of many dimensions in the plane of their two principal axes. The plane is computed anew every time, and turned within itself so
// that its axes are as near as possible to those of the last time: signs and order of principal axes are arbitrary, and two with nearly
// the same variance turn into each other, which would make a map jump although the points hardly move.

type Axes = readonly [Float64Array, Float64Array]

/** Rounds of power iteration, which begins with the last axes. */
const ROUNDS = 60

export class Plane {
  #last: Axes | undefined

  /**
   * @param values points, [n, width]
   * @returns points in the plane, around their mean, [n, 2], and the share of their variance in the plane
   */
  of(values: Float32Array, width: number): { readonly points: Float32Array; readonly share: number } {
    const count = values.length / width
    const mean = new Float64Array(width)
    for (let i = 0; i < values.length; i++) mean[i % width] += values[i] / count
    const covariance = new Float64Array(width * width)
    for (let p = 0; p < count; p++)
      for (let i = 0; i < width; i++) {
        const x = values[p * width + i] - mean[i]
        for (let j = 0; j <= i; j++) covariance[i * width + j] += (x * (values[p * width + j] - mean[j])) / count
      }
    for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) covariance[j * width + i] = covariance[i * width + j]
    const total = covariance.reduce((sum, x, i) => (i % (width + 1) === 0 ? sum + x : sum), 0)
    const [axes, variance] = principalAxes(covariance, width, this.#last)
    const turned = this.#last ? turnedTo(axes, this.#last) : axes
    this.#last = turned
    const points = new Float32Array(2 * count)
    for (let p = 0; p < count; p++)
      for (let a = 0; a < 2; a++)
        for (let i = 0; i < width; i++) points[2 * p + a] += turned[a][i] * (values[p * width + i] - mean[i])
    return { points, share: total > 0 ? variance / total : 0 }
  }
}

/** The two axes of the largest variance, by power iteration with orthogonalisation, and the variance along both. */
function principalAxes(covariance: Float64Array, width: number, last: Axes | undefined): [Axes, number] {
  // a start that is orthogonal to no axis
  const start = (a: number) =>
    Float64Array.from({ length: width }, (_, i) => Math.cos((a + 1) * (i + 0.5) * 1.7) + 0.01)
  const axes: Axes = last ? [last[0].slice(), last[1].slice()] : [start(0), start(1)]
  let variance = 0
  for (let round = 0; round < ROUNDS; round++) {
    variance = 0
    for (const [a, axis] of axes.entries()) {
      const next = new Float64Array(width)
      for (let i = 0; i < width; i++) for (let j = 0; j < width; j++) next[i] += covariance[i * width + j] * axis[j]
      if (a === 1) {
        const overlap = dot(next, axes[0])
        for (let i = 0; i < width; i++) next[i] -= overlap * axes[0][i]
      }
      const length = Math.sqrt(dot(next, next))
      variance += length
      if (length > 0) for (let i = 0; i < width; i++) axis[i] = next[i] / length
    }
  }
  return [axes, variance]
}

/** The same plane with its axes turned, or mirrored, to be as near as possible to others (the orthogonal Procrustes problem in two dimensions). */
function turnedTo([x, y]: Axes, [u, v]: Axes): Axes {
  const [a, b, c, d] = [dot(x, u), dot(x, v), dot(y, u), dot(y, v)]
  const isMirrored = a * d - b * c < 0
  const [p, q] = isMirrored ? [a - d, b + c] : [a + d, b - c]
  const length = Math.hypot(p, q)
  if (length === 0) return [x, y]
  const [cos, sin] = [p / length, q / length]
  // the columns are the new axes in terms of the old ones
  const first = x.map((value, i) => cos * value + (isMirrored ? sin : -sin) * y[i])
  const second = x.map((value, i) => sin * value + (isMirrored ? -cos : cos) * y[i])
  return [first, second]
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}
