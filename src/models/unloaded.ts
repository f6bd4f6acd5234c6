// A model without values, whose weights are read from a file afterwards.

import { withoutAllocation } from '../nn/index.ts'
import { demandMemory } from '../tensor/demand.ts'
import { CoCa } from './coca.ts'
import type { CoCaConfig } from './config.ts'

const BYTES = 4

/**
 * A model whose parameters have shapes and no values yet.
 * @throws OutOfMemoryError if the current device cannot hold their values
 */
export function unloaded(config: CoCaConfig): CoCa {
  const model = withoutAllocation(() => new CoCa(config))
  const count = model.parameterCount()
  demandMemory(BYTES * count, `the ${count.toLocaleString('en')} weights of this model`, 'A smaller model needs less')
  return model
}
