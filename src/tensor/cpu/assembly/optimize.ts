// One pass over a parameter and its moments, which are overwritten. The numbers are those of AdamWNumbers in
// ../../fused-kernels.ts.

import { f, loadSome, madd, storeSome } from './vector'

export function adamw(
  x: usize, g: usize, m: usize, v: usize, n: i32,
  beta1: f32, fresh1: f32, beta2: f32, fresh2: f32, epsilon: f32, kept: f32, rate: f32, deviation: f32,
): void {
  for (let i = 0; i < n; i += 4) {
    const at = i << 2
    const rest = n - i
    const whole = rest >= 4
    const gradient = whole ? v128.load(g + at) : loadSome<f32>(g + at, 4, rest)
    const oldM = whole ? v128.load(m + at) : loadSome<f32>(m + at, 4, rest)
    const oldV = whole ? v128.load(v + at) : loadSome<f32>(v + at, 4, rest)
    const oldX = whole ? v128.load(x + at) : loadSome<f32>(x + at, 4, rest)
    const newM = madd(oldM, f(beta1), f32x4.mul(gradient, f(fresh1)))
    const newV = madd(oldV, f(beta2), f32x4.mul(f32x4.mul(gradient, gradient), f(fresh2)))
    const root = f32x4.add(f32x4.div(f32x4.sqrt(newV), f(deviation)), f(epsilon))
    const newX = f32x4.sub(f32x4.mul(oldX, f(kept)), f32x4.mul(f(rate), f32x4.div(newM, root)))
    if (whole) {
      v128.store(m + at, newM)
      v128.store(v + at, newV)
      v128.store(x + at, newX)
    } else {
      storeSome<f32>(m + at, newM, rest)
      storeSome<f32>(v + at, newV, rest)
      storeSome<f32>(x + at, newX, rest)
    }
  }
}
