// Functions of one number from +, -, *, / and comparisons alone, which IEEE 754 rounds the same way everywhere. Math.log and Math.exp
// differ between engines in the last digit, and with them random numbers would.

/** The natural logarithm: x = m 2^e, log m as 2 artanh((m - 1) / (m + 1)). -∞ of 0, and NaN below it. */
export function logarithm(x: number): number {
  if (!(x > 0 && x < Infinity)) return x === 0 ? -Infinity : x > 0 ? x : Number.NaN
  let exponent = 0
  let m = x
  while (m < Math.SQRT1_2) {
    m *= 2
    exponent--
  }
  while (m > Math.SQRT2) {
    m /= 2
    exponent++
  }
  const s = (m - 1) / (m + 1)
  const square = s * s
  let sum = 0
  for (let k = 21; k >= 1; k -= 2) sum = sum * square + 1 / k
  return 2 * s * sum + exponent * Math.LN2
}

// ln 2 in two parts: the first has so few bits that its product with an exponent is exact
const LN2_HIGH = 6.9314718036912381649e-1
const LN2_LOW = 1.90821492927058770002e-10

/** eˣ: x = k ln 2 + r, eʳ by its series, |r| ≤ 0.35. */
export function exponentiate(x: number): number {
  if (!(x > -746)) return Number.isNaN(x) ? x : 0
  if (x > 710) return Infinity
  const k = Math.round(x / Math.LN2)
  const r = x - k * LN2_HIGH - k * LN2_LOW
  let sum = 1
  for (let n = 15; n >= 1; n--) sum = 1 + (sum * r) / n
  const step = k < 0 ? 0.5 : 2
  for (let i = Math.abs(k); i > 0; i--) sum *= step
  return sum
}

/** ln Γ(x) for x > 0: Stirling's series at 10 or above, where the rest is below 10⁻¹⁶. */
export function logGamma(x: number): number {
  let shifted = x
  let product = 1
  while (shifted < 10) product *= shifted++
  const square = 1 / (shifted * shifted)
  const series =
    1 / 12 -
    square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188 - (square * 691) / 360360))))
  const half = 0.91893853320467274178 // ln √(2π)
  return (shifted - 0.5) * logarithm(shifted) - shifted + half + series / shifted - logarithm(product)
}
