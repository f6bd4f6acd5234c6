// A module as a function of its parameters, for what differentiates or moves them: hypothetical steps, Hessians, gradcheck.

import { checkArguments, is, type Shape, ShapeError, sameShape, show, type Tensor } from '../tensor/index.ts'
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
 * @param values one for each of `module.parameters()`, of its shape; any dtype, on any device, watched by any tape
 * @throws ShapeError where they do not fit
 */
export function withParameters<T>(module: Module, values: readonly Tensor[], f: () => T): T {
  const kinds = [is.instance('a module', Module), is.tensors, is.callback]
  checkArguments('withParameters(module, values, f)', kinds, [module, values, f])
  const parameters = module.parameters()
  const shapes = (list: readonly { readonly shape: Shape }[]) => list.map(({ shape }) => show(shape)).join(', ')
  if (values.length !== parameters.length || !values.every((x, i) => sameShape(x.shape, parameters[i].shape)))
    throw new ShapeError(`withParameters: values ${shapes(values)} for parameters ${shapes(parameters)}`)
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
