// What an optimizer moves, and by what.

import { Module, Parameter } from '../nn/index.ts'
import { ArgumentError, given, is, isPlain, Tensor } from '../tensor/index.ts'

/** What an optimizer moves: a module, or parameters with their names. */
export type Optimized = Module | Iterable<readonly [name: string, parameter: Parameter]>

export const isOptimized = new is.Kind<Optimized>(
  'a module, or parameters with their names',
  x => x instanceof Module || (typeof x === 'object' && x !== null && Symbol.iterator in x),
  ([value]) => (value instanceof Tensor || isPlain(value) ? { text: 'module', values: 1 } : undefined),
)

/** Gradients by name. */
export const areGradients = new is.Kind<ReadonlyMap<string, Tensor>>(
  'a Map of gradients by name, as lossAndGradients gives it',
  x => x instanceof Map,
  ([value]) => (isPlain(value) && value.gradients instanceof Map ? { text: 'gradients', values: 1 } : undefined),
)

/** @param of the optimizer */
export function* namedParameters(
  of: string,
  parameters: Optimized,
): Generator<readonly [name: string, parameter: Parameter]> {
  for (const item of parameters instanceof Module ? parameters.namedParameters() : (parameters as Iterable<unknown>)) {
    const [name, parameter] = Array.isArray(item) ? item : []
    if (typeof name === 'string' && parameter instanceof Parameter) yield [name, parameter]
    else {
      const advice =
        parameter instanceof Tensor
          ? 'only a Parameter has a value that changes: write new Parameter(x)'
          : `parameters must have names: write new ${of}(module) or new ${of}(module.namedParameters())`
      throw new ArgumentError(
        `${of}: parameters must be pairs of a name and a parameter, not ${given(item)}; ${advice}`,
        of,
        'parameters',
        item,
      )
    }
  }
}
