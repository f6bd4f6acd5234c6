// The error function and its complement to double precision: rational approximations on three ranges by W. J. Cody (1969),
// "Rational Chebyshev approximations for the error function". JavaScript has no erf, and finite differences need full
// precision. The normal distribution function is computed from the complement, because 1 + erf has no digits left in the tail.

// biome-ignore format: one coefficient table per range
const SMALL = {
  p: [3.20937758913846947e3, 3.77485237685302021e2, 1.13864154151050156e2, 3.16112374387056560, 1.85777706184603153e-1],
  q: [2.84423683343917062e3, 1.28261652607737228e3, 2.44024637934444173e2, 2.36012909523441209e1, 1],
}
// biome-ignore format: one coefficient table per range
const MIDDLE = {
  p: [1.23033935479799725e3, 2.05107837782607147e3, 1.71204761263407058e3, 8.81952221241769090e2, 2.98635138197400131e2,
      6.61191906371416295e1, 8.88314979438837594, 5.64188496988670089e-1, 2.15311535474403846e-8],
  q: [1.23033935480374942e3, 3.43936767414372164e3, 4.36261909014324716e3, 3.29079923573345963e3, 1.62138957456669019e3,
      5.37181101862009858e2, 1.17693950891312499e2, 1.57449261107098347e1, 1],
}
// biome-ignore format: one coefficient table per range
const LARGE = {
  p: [-6.58749161529837803e-4, -1.60837851487422766e-2, -1.25781726111229246e-1, -3.60344899949804439e-1,
      -3.05326634961232344e-1, -1.63153871373020978e-2],
  q: [2.33520497626869185e-3, 6.05183413124413191e-2, 5.27905102951428412e-1, 1.87295284992346725, 2.56852019228982242, 1],
}
const INVERSE_SQRT_PI = 0.5641895835477563

function ratio(table: { p: readonly number[]; q: readonly number[] }, x: number): number {
  let numerator = 0
  let denominator = 0
  for (let i = table.p.length - 1; i >= 0; i--) {
    numerator = numerator * x + table.p[i]
    denominator = denominator * x + table.q[i]
  }
  return numerator / denominator
}

/** exp(-x²), with x split so that the rounding of x² is not magnified. */
function gaussian(x: number): number {
  const head = Math.trunc(x * 16) / 16
  return Math.exp(-head * head) * Math.exp(-(x - head) * (x + head))
}

/** Where |x| ends up to which erf is computed directly. */
const NEAR = 0.46875

/** 1 - erf(a) for a > NEAR. */
function complement(a: number): number {
  if (a <= 4) return gaussian(a) * ratio(MIDDLE, a)
  // the smallest number is reached at 27.2
  if (!(a < 28)) return Number.isNaN(a) ? a : 0
  const square = 1 / (a * a)
  return (gaussian(a) / a) * (INVERSE_SQRT_PI + square * ratio(LARGE, square))
}

/** erf(x) = 2/√π ∫₀ˣ exp(-t²) dt, to about one unit in the last place. */
export function erf(x: number): number {
  if (Math.abs(x) <= NEAR) return x * ratio(SMALL, x * x)
  return x < 0 ? complement(-x) - 1 : 1 - complement(x)
}

/** Φ(x), the standard normal distribution function, with its relative accuracy in the lower tail. */
export function normalCdf(x: number): number {
  const z = x * Math.SQRT1_2
  if (Math.abs(z) <= NEAR) return 0.5 + 0.5 * erf(z)
  return z < 0 ? 0.5 * complement(-z) : 1 - 0.5 * complement(z)
}
