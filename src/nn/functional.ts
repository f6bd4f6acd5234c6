// A module as a function of its parameters, for what differentiates or moves them: hypothetical steps, Hessians, gradcheck.

import { canReplace, DTypeError, type Shape, ShapeError, sameShape, show, type Tensor } from '../tensor/index.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'

/** Every place where a parameter stands, by parameter: one that is shared has several. */
function placesOf(owner: object, found = new Map<Parameter, [owner: object, key: string][]>()) {
  for (const [key, value] of Object.entries(owner)) {
    if (value instanceof Parameter) found.set(value, [...(found.get(value) ?? []), [owner, key]])
    else if (value instanceof Module || Array.isArray(value)) placesOf(value, found)
  }
  return found
}

/**
 * Runs `f` while other tensors stand in the place of a module's parameters.
 * @param values one for each of `module.parameters()`, of its shape; float32 or float64, on any device, watched by any tape
 * @throws ShapeError where they do not fit, DTypeError where integers or booleans stand for floating numbers
 */
export function withParameters<T>(module: Module, values: readonly Tensor[], f: () => T): T {
  const parameters = module.parameters()
  const shapes = (list: readonly { readonly shape: Shape }[]) => list.map(({ shape }) => show(shape)).join(', ')
  if (values.length !== parameters.length || !values.every((x, i) => sameShape(x.shape, parameters[i].shape)))
    throw new ShapeError(`withParameters: values ${shapes(values)} for parameters ${shapes(parameters)}`)
  for (const [i, { dtype }] of values.entries())
    if (!canReplace(dtype, parameters[i].dtype))
      throw new DTypeError(`withParameters: value ${i} is ${dtype}, the parameter ${parameters[i].dtype}`, dtype)
  const places = placesOf(module)
  const put = (list: readonly Tensor[]) =>
    parameters.forEach((parameter, i) => {
      for (const [owner, key] of places.get(parameter)!) Reflect.set(owner, key, list[i])
    })
  try {
    put(values)
    return f()
  } finally {
    put(parameters)
  }
}
