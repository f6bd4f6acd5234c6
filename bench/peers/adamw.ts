// AdamW's numbers, as bench/model.ts has them, for frameworks in which it is written out operation by operation.

export const BETA1 = 0.9
export const BETA2 = 0.999
/** what is left of a parameter when its decay is taken away */
export const KEPT = 1 - 1e-4 * 0.01

/**
 * With the moments kept without their factors 1 - β, m ← β₁ m + g and v ← β₂ v + g², two operations fewer for each
 * parameter, update t is w ← kept w - rate m / (√v + ε) with these.
 */
export function adamwScalars(t: number): { readonly rate: number; readonly epsilon: number } {
  const deviation = Math.sqrt((1 - BETA2) / (1 - BETA2 ** t))
  return { rate: (1e-4 * (1 - BETA1)) / (1 - BETA1 ** t) / deviation, epsilon: 1e-8 / deviation }
}
