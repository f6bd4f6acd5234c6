// The gradients that optimizers and clipping take.

import { isPlain } from '../tensor/given.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'

/** Gradients by name. */
export const areGradients = new is.Kind<ReadonlyMap<string, Tensor>>(
  'a Map of gradients by name, as lossAndGradients gives it',
  x => x instanceof Map,
  ([value]) => (isPlain(value) && value.gradients instanceof Map ? { text: 'gradients', values: 1 } : undefined),
)
