// Random tensors of further distributions: their distribution functions, moments, reproducibility, and what they refuse.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  bernoulli,
  categorical,
  checkpoint,
  grad,
  gumbelSoftmax,
  multinomial,
  type TensorFunction,
} from '../../src/autograd/index.ts'
import {
  beta,
  device,
  dirichlet,
  exponential,
  Generator,
  gamma,
  gumbel,
  permutation,
  poisson,
  rand,
  randint,
  randintLike,
  randLike,
  randn,
  randnLike,
  seed,
  type Tensor,
  tensor,
  truncatedNormal,
  zeros,
} from '../../src/tensor/index.ts'
import { exponentiate, logarithm, logGamma } from '../../src/tensor/portable.ts'
import { erfSeries } from '../autograd/plain.ts'
import { refuse } from '../loose.ts'
import { assertCloseNumbers, fc, values } from '../support.ts'

const N = 6000
const from = (s: number) => ({ generator: new Generator(s), dtype: 'float64' as const })

/**
 * Kolmogorov and Smirnov: with probability 1 - 10⁻⁶, the largest distance between the distribution function F and the shares of n
 * samples is below √(ln(2 · 10⁶) / 2n). For counts, both are compared at the counts, where the distance is smaller.
 */
function follows(samples: readonly number[], F: (x: number) => number): void {
  const sorted = [...samples].sort((a, b) => a - b)
  const n = sorted.length
  let distance = 0
  for (let i = 0; i < n; i++) {
    if (sorted[i + 1] === sorted[i]) continue
    const expected = F(sorted[i])
    const below = Number.isInteger(sorted[i]) ? i + 1 : i
    distance = Math.max(distance, Math.abs((i + 1) / n - expected), Math.abs(below / n - expected))
  }
  assert.ok(distance < Math.sqrt(Math.log(2e6) / (2 * n)), `the distance is ${distance}`)
}

/** The means of samples and of their squares are within five standard errors. */
function hasMoments(samples: readonly number[], mean: number, variance: number): void {
  const n = samples.length
  const average = (f: (x: number) => number) => samples.reduce((sum, x) => sum + f(x), 0) / n
  const found = average(x => x)
  assert.ok(Math.abs(found - mean) < 5 * Math.sqrt(variance / n), `the mean is ${found}, not ${mean}`)
  const spread = average(x => (x - mean) ** 2)
  const error = Math.sqrt(average(x => ((x - mean) ** 2 - spread) ** 2) / n)
  assert.ok(Math.abs(spread - variance) < 5 * error, `the variance is ${spread}, not ${variance}`)
}

/** Simpson's rule; the ends may be singular. */
function integral(f: (x: number) => number, low: number, high: number, steps = 400): number {
  const h = (high - low) / steps
  let sum = 0
  for (let i = 0; i < steps; i++) {
    const x = low + i * h
    sum += (h / 6) * (f(x + h * 1e-9) + 4 * f(x + h / 2) + f(x + h * (1 - 1e-9)))
  }
  return sum
}

/** A distribution function from a density, by sums over a table. */
function tableOf(density: (x: number) => number, low: number, high: number): (x: number) => number {
  const cells = 2000
  const width = (high - low) / cells
  const sums = [0]
  for (let i = 0; i < cells; i++) sums.push(sums[i] + integral(density, low + i * width, low + (i + 1) * width, 4))
  return x => {
    const at = Math.min(cells, Math.max(0, (x - low) / width))
    const i = Math.min(cells - 1, Math.floor(at))
    return (sums[i] + (at - i) * (sums[i + 1] - sums[i])) / sums[cells]
  }
}

const Phi = (x: number) => (1 + erfSeries(x / Math.SQRT2)) / 2

describe('portable functions', () => {
  it('equal those of the engine to the last digits', () => {
    const numbers = fc.double({ min: 1e-300, max: 1e300, noNaN: true })
    fc.assert(fc.property(numbers, x => assertCloseNumbers([logarithm(x)], [Math.log(x)], 4e-16)))
    fc.assert(
      fc.property(fc.double({ min: -700, max: 700, noNaN: true }), x => {
        assert.ok(Math.abs(exponentiate(x) / Math.exp(x) - 1) < 1e-15, `e^${x}`)
      }),
    )
    assert.deepEqual([-Infinity, -1000, 0, 1000].map(exponentiate), [0, 0, 1, Infinity])
    assert.deepEqual([0, -1, Infinity, Number.NaN].map(logarithm), [-Infinity, Number.NaN, Infinity, Number.NaN])
    assert.ok(Number.isNaN(exponentiate(Number.NaN)))
    let factorial = 1
    for (let n = 1; n < 100; n++) {
      assertCloseNumbers([logGamma(n)], [Math.log(factorial)], 1e-14)
      factorial *= n
    }
    assertCloseNumbers([logGamma(0.5)], [Math.log(Math.PI) / 2], 1e-14)
  })
})

describe('distribution functions', () => {
  it('of exponential numbers', () => {
    const samples = values(exponential([N], { rate: 3, ...from(1) }))
    follows(samples, x => 1 - Math.exp(-3 * x))
    hasMoments(samples, 1 / 3, 1 / 9)
  })

  it('of Gumbel numbers', () => {
    const samples = values(gumbel([N], { location: 1, scale: 2, ...from(2) }))
    follows(samples, x => Math.exp(-Math.exp(-(x - 1) / 2)))
    hasMoments(samples, 1 + 2 * 0.5772156649015329, (4 * Math.PI ** 2) / 6)
  })

  for (const [low, high, mean, std] of [
    [-2, 2, 0, 1],
    [-1, 0.5, 0, 1],
    [0.2, Infinity, 0, 1],
    [1, 1.5, 0, 1],
    [2, 8, 1, 2],
    [-Infinity, -1, 0, 1],
    [-4, -3, 1, 2],
    [1.5, Infinity, 0, 1],
  ])
    it(`of truncated normal numbers in [${low}, ${high}] about ${mean} ± ${std}`, () => {
      const samples = values(truncatedNormal([N], { low, high, mean, std, ...from(3) }))
      assert.ok(samples.every(x => x >= low && x <= high))
      const [first, last] = [(low - mean) / std, (high - mean) / std].map(z => (z < -8 ? 0 : z > 8 ? 1 : Phi(z)))
      follows(samples, x => (Phi((x - mean) / std) - first) / (last - first))
    })

  for (const alpha of [0.3, 1, 2.5, 20])
    it(`of gamma numbers with alpha ${alpha}`, () => {
      const samples = values(gamma(alpha, [N], { rate: 2, ...from(4) }))
      hasMoments(samples, alpha / 2, alpha / 4)
      // in t = x^alpha the density has no singularity at 0
      const F = tableOf(t => Math.exp(-2 * t ** (1 / alpha)), 0, 60 ** alpha)
      if (alpha < 1) follows(samples, x => F(x ** alpha))
      else
        follows(
          samples,
          tableOf(x => x ** (alpha - 1) * Math.exp(-2 * x), 0, 60),
        )
    })

  it('of beta numbers', () => {
    const samples = values(beta(2, 3.5, [N], from(5)))
    follows(
      samples,
      tableOf(x => x * (1 - x) ** 2.5, 0, 1),
    )
    hasMoments(samples, 2 / 5.5, (2 * 3.5) / (5.5 ** 2 * 6.5))
    // arcsine
    follows(values(beta(0.5, 0.5, [N], from(6))), x => (2 / Math.PI) * Math.asin(Math.sqrt(x)))
    const small = values(beta(0.01, 0.01, [1000], from(7)))
    assert.ok(small.every(x => x >= 0 && x <= 1))
    hasMoments(small, 1 / 2, 1 / 4 / 1.02)
  })

  it('of Dirichlet vectors', () => {
    const alphas = [0.5, 2, 3]
    const samples = values(dirichlet(alphas, [N], from(8)))
    for (let i = 0; i < samples.length; i += 3)
      assertCloseNumbers([samples[i] + samples[i + 1] + samples[i + 2]], [1], 1e-12)
    alphas.forEach((alpha, k) => {
      const share = alpha / 5.5
      hasMoments(
        samples.filter((_, i) => i % 3 === k),
        share,
        (share * (1 - share)) / 6.5,
      )
    })
    const tiny = values(dirichlet([1e-4, 1e-4], [100], from(9)))
    assert.ok(tiny.every(x => x >= 0 && x <= 1))
    assert.deepEqual(dirichlet([1, 1], [2, 3]).shape, [2, 3, 2])
  })

  for (const rate of [0.5, 8, 30, 400])
    it(`of Poisson counts with rate ${rate}`, () => {
      const samples = values(poisson(rate, [N], { generator: new Generator(10) }))
      hasMoments(samples, rate, rate)
      const shares = [Math.exp(-rate)]
      for (let k = 1; k < rate + 20 * Math.sqrt(rate) + 20; k++) shares.push((shares[k - 1] * rate) / k)
      const sums = shares.map((_, k) => shares.slice(0, k + 1).reduce((a, b) => a + b, 0))
      follows(samples, k => sums[k])
    })

  it('of choices', () => {
    const weights = [1, 0, 3, 6]
    const shares = [0.1, 0.1, 0.4, 1]
    const options = { count: N, generator: new Generator(11) }
    follows(values(multinomial(tensor(weights), { ...options, replacement: true })), k => shares[k])
    follows(values(categorical(tensor(weights).log(), options)), k => shares[k])
    const hits = values(bernoulli(0.3, { shape: [N], generator: new Generator(12) }))
    hasMoments(hits, 0.3, 0.21)
    assert.deepEqual(values(bernoulli(tensor([0, 1, -1, 2, Number.NaN]))), [0, 1, 0, 1, 0])
  })

  it('of two choices without replacement', () => {
    const [p, q, r] = [0.2, 0.3, 0.5]
    const rows = tensor([[p, q, r]]).expand([N, 3])
    const pairs = values(multinomial(rows, { count: 2, generator: new Generator(13) }))
    const share = (first: number, second: number) => {
      let n = 0
      for (let i = 0; i < N; i++) if (pairs[2 * i] === first && pairs[2 * i + 1] === second) n++
      return n / N
    }
    for (const [i, a] of [p, q, r].entries())
      for (const [j, b] of [p, q, r].entries()) {
        const expected = i === j ? 0 : (a * b) / (1 - a)
        const error = 5 * Math.sqrt((expected * (1 - expected)) / N)
        assert.ok(Math.abs(share(i, j) - expected) <= error, `${i} then ${j}: ${share(i, j)}, not ${expected}`)
      }
  })
})

const draws: Readonly<Record<string, (on: { readonly generator: Generator }) => Tensor>> = {
  rand: on => rand([3, 4], on),
  randn: on => randn([3, 4], on),
  randint: on => randint(-3, 4, [3, 4], on),
  permutation: on => permutation(9, on),
  randLike: on => randLike(zeros([2, 3]), on),
  randnLike: on => randnLike(zeros([2, 3]), on),
  randintLike: on => randintLike(zeros([2, 3]), 0, 5, on),
  truncatedNormal: on => truncatedNormal([9], { low: 1, high: 3, ...on }),
  exponential: on => exponential([9], on),
  gumbel: on => gumbel([9], on),
  gamma: on => gamma(0.7, [9], on),
  beta: on => beta(0.7, 2, [9], on),
  dirichlet: on => dirichlet([1, 2, 3], [4], on),
  poisson: on => poisson(20, [9], on),
  bernoulli: on => bernoulli(0.5, { shape: [9], ...on }),
  categorical: on => categorical(tensor([0.5, 1, -1]), { count: 9, ...on }),
  multinomial: on => multinomial(tensor([0.5, 1, 2]), { count: 2, ...on }),
}

describe('the same seed', () => {
  for (const [name, draw] of Object.entries(draws))
    it(`gives the same ${name} on every device, again and again`, async () => {
      const own = () => draw({ generator: new Generator(5) })
      const expected = values(device.with('reference', own))
      assert.deepEqual(values(device.with('reference', own)), expected)
      assert.notDeepEqual(values(draw({ generator: new Generator(6) })), expected)
      await device.open('cpu')
      await device.open('gpu', { backend: 'cpu' })
      for (const on of ['cpu', 'gpu'] as const) assert.deepEqual([...(await device.with(on, own).data())], expected, on)
    })

  it('gives numbers in float32 that are those of float64, rounded', () => {
    for (const draw of [
      (o: object) => exponential([50], o),
      (o: object) => gumbel([50], o),
      (o: object) => gamma(0.5, [50], o),
      (o: object) => beta(2, 3, [50], o),
      (o: object) => randn([50], o),
    ])
      assert.deepEqual(values(draw({ generator: new Generator(1) })), values(draw(from(1))).map(Math.fround))
  })

  it('is that of the program where no generator is given', () => {
    seed(3)
    const first = [values(gamma(2, [3])), values(permutation(5)), values(categorical(zeros([4])))]
    seed(3)
    assert.deepEqual([values(gamma(2, [3])), values(permutation(5)), values(categorical(zeros([4])))], first)
  })
})

describe('shapes and dtypes', () => {
  it('are those asked for, or of the other tensor', () => {
    const says = (x: Tensor) => [x.dtype, x.shape]
    const x = zeros([2, 3], { dtype: 'float64' })
    assert.deepEqual(says(randLike(x)), ['float64', [2, 3]])
    assert.deepEqual(says(randnLike(x, { dtype: 'float32' })), ['float32', [2, 3]])
    assert.deepEqual(says(randintLike(x, 0, 9)), ['float64', [2, 3]])
    assert.deepEqual(says(permutation(4)), ['int32', [4]])
    assert.deepEqual(says(poisson(3, [2])), ['int32', [2]])
    assert.deepEqual(says(bernoulli(0.5)), ['float32', []])
    assert.deepEqual(says(bernoulli(x, { dtype: 'bool' })), ['bool', [2, 3]])
    assert.deepEqual(says(multinomial(zeros([2, 3]).add(1), { count: 0 })), ['int32', [2, 0]])
  })

  it('a permutation has every number once', () => {
    assert.deepEqual(
      values(permutation(50)).sort((a, b) => a - b),
      Array.from({ length: 50 }, (_, i) => i),
    )
    assert.deepEqual(values(permutation(0)), [])
  })

  it('truncated numbers are within ends that float32 does not have', () => {
    const [low, high] = [0.1, 0.1 + 1e-9]
    const samples = values(truncatedNormal([20], { low, high: 0.1 + 1e-7, generator: new Generator(1) }))
    assert.ok(samples.every(x => x >= low && x <= 0.1 + 1e-7))
    assert.ok(high > low)
  })

  it('a normal number is finite at the end of the uniform numbers', () => {
    class Last extends Generator {
      override uint32(): number {
        return 2 ** 32 - 1
      }
    }
    assert.ok(Number.isFinite(new Last().normal()))
    assert.ok(Number.isFinite(values(gumbel([1], { generator: new Last() }))[0]))
  })
})

describe('gradients', () => {
  it('checkpoint draws the same numbers again', () => {
    const noisy: TensorFunction = x =>
      x
        .mul(randn([3]))
        .mul(rand([3]).mul(gamma(2, [3])))
        .square()
        .sum()
    const x = tensor([1, 2, 3])
    seed(1)
    const expected = values(grad(noisy)(x))
    seed(1)
    assert.deepEqual(values(grad(checkpoint(noisy))(x)), expected)
  })

  it('hard Gumbel-softmax has the gradient of the soft one', () => {
    const logits = tensor([0.5, -1, 2])
    const weights = tensor([1, 2, 3])
    const of = (hard: boolean) =>
      values(
        grad((x: Tensor) =>
          gumbelSoftmax(x, { hard, generator: new Generator(1) })
            .mul(weights)
            .sum(),
        )(logits),
      )
    assert.deepEqual(of(true), of(false))
    assert.ok(of(true).some(g => g !== 0))
  })
})

describe('parameters', () => {
  refuse([
    [
      'exponential of rate 0',
      () => exponential([1], { rate: 0 }),
      'RangeError',
      'exponential: rate must be a finite number above 0, not 0',
    ],
    ['gamma(-1)', () => gamma(-1, [1]), 'RangeError', 'gamma: alpha must be a finite number above 0, not -1'],
    ['gamma of rate NaN', () => gamma(1, [1], { rate: Number.NaN }), 'RangeError', 'gamma: rate must be', 'not NaN'],
    ['beta(1, 0)', () => beta(1, 0, [1]), 'RangeError', 'beta: beta must be a finite number above 0, not 0'],
    [
      'dirichlet([])',
      () => dirichlet([], [1]),
      'RangeError',
      'dirichlet: alphas must have at least one number, not []',
    ],
    ['dirichlet([1, -1])', () => dirichlet([1, -1], [1]), 'RangeError', 'dirichlet: alpha 1 must be', 'not -1'],
    ['poisson(-1)', () => poisson(-1, [1]), 'RangeError', 'poisson: the rate must be from 0 to 10^9, not -1'],
    ['gumbel of scale 0', () => gumbel([1], { scale: 0 }), 'RangeError', 'gumbel: scale must be'],
    [
      'truncatedNormal with ends in reverse',
      () => truncatedNormal([1], { low: 2, high: 1 }),
      'RangeError',
      'truncatedNormal: high must be above low, not 1 and 2',
    ],
    ['truncatedNormal of std 0', () => truncatedNormal([1], { std: 0 }), 'RangeError', 'truncatedNormal: std must be'],
    [
      'permutation(-1)',
      () => permutation(-1),
      'ArgumentError',
      'permutation: n must be a whole number, 0 or more, not -1',
    ],
    [
      'gamma as int32',
      () => gamma(1, [1], { dtype: 'int32' }),
      'DTypeError',
      'gamma: the dtype must be float32 or float64, not int32',
    ],
    [
      'randLike of integers',
      () => randLike(zeros([2], { dtype: 'int32' })),
      'DTypeError',
      'randLike: the dtype must be float32 or float64, not int32; write randintLike(x, low, high)',
    ],
    ['randn of another library', () => randnLike(zeros([2]), { seed: 1 } as object), 'OptionsError', 'no option seed'],
  ])
})
