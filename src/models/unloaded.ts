// A model without values, whose weights are read from a file afterwards.

import { type Module, withoutAllocation } from '../nn/index.ts'
import { demandMemory } from '../tensor/demand.ts'

const BYTES = 4

/**
 * A model whose parameters have shapes and no values yet.
 * @throws OutOfMemoryError if the current device cannot hold their values
 */
export function unloaded<Model extends Module>(create: () => Model): Model {
  const model = withoutAllocation(create)
  const count = model.parameterCount()
  demandMemory(BYTES * count, `the ${count.toLocaleString('en')} weights of this model`, 'A smaller model needs less')
  return model
}
