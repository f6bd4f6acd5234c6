// A module as a function of its parameters, for code that differentiates or moves them: hypothetical steps, Hessians,
// gradcheck.

import { checkArguments } from '../tensor/arguments.ts'
import { canReplace, DTypeError, type Shape, ShapeError, sameShape, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { Module, placesBelow } from './module.ts'
import { Parameter } from './parameter.ts'

/**
 * Runs `f` while other tensors replace a module's parameters.
 * @param values one for each of `module.parameters()`, of its shape; float32 or float64, on any device, watched by any tape
 * @throws ShapeError if they do not fit, DTypeError if integers or booleans would replace floating numbers, TypeError naming a
 *   parameter that cannot be replaced
 */
export function withParameters<T>(module: Module, values: readonly Tensor[], f: () => T): T {
  const kinds = [is.instance('a module', Module), is.tensors, is.callback]
  checkArguments('withParameters(module, values, f)', kinds, [module, values, f])
  const parameters = module.parameters()
  const shapes = (list: readonly { readonly shape: Shape }[]) => list.map(({ shape }) => show(shape)).join(', ')
  if (values.length !== parameters.length || !values.every((x, i) => sameShape(x.shape, parameters[i].shape)))
    throw new ShapeError(`withParameters: values ${shapes(values)} do not match parameters ${shapes(parameters)}`)
  for (const [i, { dtype }] of values.entries())
    if (!canReplace(dtype, parameters[i].dtype))
      throw new DTypeError(`withParameters: value ${i} is ${dtype}, but the parameter is ${parameters[i].dtype}`, dtype)
  const places = placesBelow(module)
  const put = (list: readonly Tensor[]) => {
    const others = new Map<object, Tensor>(parameters.map((parameter, i) => [parameter, list[i]]))
    for (const { path, value, put: replace } of places)
      if (value instanceof Parameter && !replace(others.get(value)))
        throw new TypeError(
          `withParameters: ${path} cannot be replaced, because a frozen object or a Set holds it; use an array or a plain object`,
        )
  }
  try {
    put(values)
    return f()
  } finally {
    put(parameters)
  }
}
