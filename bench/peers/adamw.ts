// The settings of AdamW in bench/model.ts, for frameworks in which it is written operation by operation.

export const BETA1 = 0.9
export const BETA2 = 0.999
/** factor of a parameter for weight decay */
export const KEPT = 1 - 1e-4 * 0.01

/**
 * The coefficients of update t, w ← kept w - rate m / (√v + ε), for moments without the factors 1 - β: m ← β₁ m + g and
 * v ← β₂ v + g². This saves two operations per parameter.
 */
export function adamwScalars(t: number): { readonly rate: number; readonly epsilon: number } {
  const deviation = Math.sqrt((1 - BETA2) / (1 - BETA2 ** t))
  return { rate: (1e-4 * (1 - BETA1)) / (1 - BETA1 ** t) / deviation, epsilon: 1e-8 / deviation }
}
