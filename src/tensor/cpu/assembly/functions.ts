// Functions of four float32 at a time: the argument is reduced to a short interval, where a minimax polynomial
// approximates the function. Coefficients were fitted to 30-digit values; a test measures the errors.

import { f, madd } from './vector'

/** 1.5 · 2²³: adding it rounds to an integer, which then stands in the low bits. */
@inline
const ROUNDING: f32 = 12582912

/** The same, and the bias of float32's exponent. */
@inline
const BIASED: f32 = 12583039

/** eʳ - 1 - r over r², for |r| ≤ ½ ln 2. */
@inline
function expTail(r: v128): v128 {
  let p = madd(f(0.0013814602280035615), r, f(0.008368715643882751))
  p = madd(p, r, f(0.04166838899254799))
  p = madd(p, r, f(0.1666652113199234))
  return madd(p, r, f(0.4999999403953552))
}

/** eʳ for |r| ≤ ½ ln 2 */
@inline
function expNear(r: v128): v128 {
  return madd(madd(expTail(r), r, f(1)), r, f(1))
}

/** x / ln 2 rounded to an integer, in the low bits beside those of ROUNDING. */
@inline
function powerOf(x: v128): v128 {
  return madd(x, f(1.44269504), f(ROUNDING))
}

/** x - n ln 2; ln 2 is in two parts, the first of which is exact times any n. */
@inline
function reduced(x: v128, n: v128): v128 {
  return madd(n, f(0.00021219444), madd(n, f(-0.693359375), x))
}

/** 2ⁿ for -127 < n < 128 */
@inline
function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23)
}

/** The magnitude of y with the sign of x. */
@inline
function signed(y: v128, x: v128): v128 {
  return v128.bitselect(x, y, f(-0.0))
}

/** eˣ = 2ⁿ eʳ with |r| ≤ ½ ln 2, where the result is a normal number: n is added to the exponent of eʳ. */
@inline
function exp4Normal(x: v128): v128 {
  const power = powerOf(x)
  return i32x4.add(expNear(reduced(x, f32x4.sub(power, f(ROUNDING)))), i32x4.shl(power, 23))
}

/** eˣ for any x: NaN stays, results below the smallest normal number are rounded and not lost. */
function exp4Any(x: v128): v128 {
  const within = f32x4.pmax(f32x4.pmin(x, f(89)), f(-104.5))
  const power = powerOf(within)
  const p = expNear(reduced(within, f32x4.sub(power, f(ROUNDING))))
  const n = i32x4.sub(power, f(ROUNDING))
  const half = i32x4.shr_s(n, 1)
  return f32x4.mul(f32x4.mul(p, powerOfTwo(half)), powerOfTwo(i32x4.sub(n, half)))
}

/** Whether |x| > 87 for one of four, or one is NaN: magnitudes are ordered as their bits are. */
@inline
function isExtreme(x: v128): bool {
  return v128.any_true(i32x4.gt_s(f32x4.abs(x), f(87)))
}

/** eˣ */
@inline
export function exp4(x: v128): v128 {
  return isExtreme(x) ? exp4Any(x) : exp4Normal(x)
}

/** eˣ for x ≤ 0, as a share of a whole: what is smaller than any normal number is 0, NaN stays. */
@inline
export function share4(x: v128): v128 {
  // from here on n is -127, and 2ⁿ has no bits
  const within = f32x4.pmax(x, f(-88))
  // n + 127 stands in the low bits, which are the exponent of 2ⁿ
  const power = madd(within, f(1.44269504), f(BIASED))
  const p = expNear(reduced(within, f32x4.sub(power, f(BIASED))))
  return f32x4.mul(p, i32x4.shl(power, 23))
}

/** eˣ - 1 = 2ⁿ (eʳ - 1) + (2ⁿ - 1), where it is not eˣ alone. */
@inline
export function expm14(x: v128): v128 {
  const within = f32x4.pmax(f32x4.pmin(x, f(60)), f(-18))
  const power = powerOf(within)
  const r = reduced(within, f32x4.sub(power, f(ROUNDING)))
  const scale = powerOfTwo(i32x4.sub(power, f(ROUNDING)))
  const y = madd(madd(expTail(r), f32x4.mul(r, r), r), scale, f32x4.sub(scale, f(1)))
  return signed(v128.bitselect(exp4(x), y, f32x4.gt(x, f(50))), x)
}

/** log x = n ln 2 + log(1 + r) with 1 + r between √½ and √2. */
@inline
export function log4(x: v128): v128 {
  const tiny = f32x4.lt(x, f(1.17549435e-38))
  const scaled = v128.bitselect(f32x4.mul(x, f(8388608)), x, tiny)
  const power = i32x4.shr_s(i32x4.sub(scaled, i32x4.splat(0x3f3504f3)), 23)
  const r = f32x4.sub(i32x4.sub(scaled, i32x4.shl(power, 23)), f(1))
  const n = f32x4.sub(f32x4.convert_i32x4_s(power), v128.and(tiny, f(23)))
  let q = madd(f(-0.07634496688842773), r, f(0.1276157647371292))
  q = madd(q, r, f(-0.13160182535648346))
  q = madd(q, r, f(0.14201757311820984))
  q = madd(q, r, f(-0.16623356938362122))
  q = madd(q, r, f(0.20001226663589478))
  q = madd(q, r, f(-0.2500081956386566))
  q = madd(q, r, f(0.3333333134651184))
  const square = f32x4.mul(r, r)
  let y = f32x4.mul(f32x4.mul(q, r), square)
  y = madd(n, f(-0.00021219444), y)
  y = madd(square, f(-0.5), y)
  y = madd(n, f(0.693359375), f32x4.add(y, r))
  y = v128.bitselect(y, x, f32x4.lt(x, f(Infinity)))
  y = v128.bitselect(f(NaN), y, f32x4.lt(x, f(0)))
  return v128.bitselect(f(-Infinity), y, f32x4.eq(x, f(0)))
}

/** log u + (x - (u - 1)) / u with u = 1 + x as it was rounded. */
@inline
export function log1p4(x: v128): v128 {
  const u = f32x4.add(x, f(1))
  const y = log4(u)
  const lost = f32x4.div(f32x4.sub(x, f32x4.sub(u, f(1))), u)
  const isFinite = v128.and(f32x4.gt(u, f(0)), f32x4.lt(u, f(Infinity)))
  return signed(v128.bitselect(f32x4.add(y, lost), y, isFinite), x)
}

/** x + x³ P(x²) near zero, 1 - 2 / (e²ˣ + 1) beyond. */
@inline
export function tanh4(x: v128): v128 {
  const a = f32x4.abs(x)
  const square = f32x4.mul(x, x)
  let p = madd(f(-0.005717045161873102), square, f(0.02065058797597885))
  p = madd(p, square, f(-0.05374349653720856))
  p = madd(p, square, f(0.13331490755081177))
  p = madd(p, square, f(-0.3333328366279602))
  const near = madd(f32x4.mul(p, square), x, x)
  const e = exp4(f32x4.add(a, a))
  const far = f32x4.sub(f(1), f32x4.div(f(2), f32x4.add(e, f(1))))
  return signed(v128.bitselect(near, far, f32x4.lt(a, f(0.625))), x)
}

/** 1 / (1 + e⁻ˣ), from e^-|x| on both sides, so that small results keep their digits. */
@inline
export function sigmoid4(x: v128): v128 {
  const e = exp4(f32x4.neg(f32x4.abs(x)))
  const numerator = v128.bitselect(e, f(1), f32x4.lt(x, f(0)))
  return f32x4.div(numerator, f32x4.add(f(1), e))
}

/** erfc(a) e^(a²) for a ≥ 0, as a polynomial in u = 1 / (1 + 0.4 a), times u. */
@inline
export function scaledErfc4(a: v128): v128 {
  const u = f32x4.div(f(1), madd(a, f(0.4), f(1)))
  let p = madd(f(0.04125302657485008), u, f(-0.14031916856765747))
  p = madd(p, u, f(0.08398714661598206))
  p = madd(p, u, f(0.0879645049571991))
  p = madd(p, u, f(0.07975637912750244))
  p = madd(p, u, f(0.1933932602405548))
  p = madd(p, u, f(0.2018875777721405))
  p = madd(p, u, f(0.2264431118965149))
  p = madd(p, u, f(0.22563423216342926))
  return f32x4.mul(p, u)
}

/** x + x P(x²) up to 1, 1 - erfc beyond. */
@inline
export function erf4(x: v128): v128 {
  const a = f32x4.abs(x)
  const square = f32x4.mul(x, x)
  let p = madd(f(7.853841816540807e-5), square, f(-0.0008010187302716076))
  p = madd(p, square, f(0.005188326817005873))
  p = madd(p, square, f(-0.026853810995817184))
  p = madd(p, square, f(0.1128358542919159))
  p = madd(p, square, f(-0.3761262595653534))
  const near = madd(x, madd(p, square, f(0.12837916709551256)), x)
  const far = f32x4.sub(f(1), f32x4.mul(scaledErfc4(a), exp4(f32x4.neg(square))))
  return signed(v128.bitselect(near, far, f32x4.lt(a, f(1))), x)
}
