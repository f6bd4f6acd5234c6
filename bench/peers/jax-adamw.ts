// AdamW for jax-js, operation by operation; its compiler fuses them into one loop per parameter.

import type * as Jax from '@jax-js/jax'
import { adamwScalars, BETA1, BETA2, KEPT } from './adamw.ts'
import type { Values } from './jax-operations.ts'

export type Named = Record<string, Values>

/** The values that change from step to step, as arrays: numbers would be compiled again. */
export type Scalars = { rate: Values; epsilon: Values }

/** The state of AdamW. */
export type State = { values: Named; first: Named; second: Named }

export function adamw({ numpy: np, tree }: typeof Jax) {
  const updateOne = (value: Values, gradient: Values, first: Values, second: Values, { rate, epsilon }: Scalars) => {
    const m = first.mul(BETA1).add(gradient.ref)
    const v = second.mul(BETA2).add(np.square(gradient))
    const direction = m.ref.div(np.sqrt(v.ref).add(epsilon.ref))
    return { value: value.mul(KEPT).sub(direction.mul(rate.ref)), m, v }
  }

  /** Takes ownership of its arguments. */
  const update = ({ values, first, second }: State, gradients: Named, scalars: Scalars): State => {
    const moved: State = { values: {}, first: {}, second: {} }
    for (const name of Object.keys(values)) {
      const { value, m, v } = updateOne(values[name], gradients[name], first[name], second[name], scalars)
      moved.values[name] = value
      moved.first[name] = m
      moved.second[name] = v
    }
    tree.dispose(scalars)
    return moved
  }

  /** Takes ownership of the values; both moments are 0. */
  const begin = (values: Named): State => {
    const zeros = () => Object.fromEntries(Object.entries(values).map(([name, { shape }]) => [name, np.zeros(shape)]))
    return { values, first: zeros(), second: zeros() }
  }

  /** @param t counts updates from 1 */
  const scalars = (t: number): Scalars => {
    const { rate, epsilon } = adamwScalars(t)
    return { rate: np.array(rate, { dtype: np.float32 }), epsilon: np.array(epsilon, { dtype: np.float32 }) }
  }

  return { begin, update, scalars }
}
