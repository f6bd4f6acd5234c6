// Calls the operations of the page of kernels with the tensors of the page, on the cpu device.

import { device, scope } from 'cocagrad'
import { callOf, operandsOf } from '../kernels/call.ts'
import { type OperationName, operations } from '../kernels/catalogue.ts'

export interface Called {
  readonly name: OperationName
  readonly hasFiniteValues: boolean
}

/** @param hasGradient whether an operation is called with its gradients too */
export async function callAll(hasGradient: (name: OperationName) => boolean): Promise<Called[]> {
  await device.use('cpu')
  const found: Called[] = []
  for (const name of Object.keys(operations) as OperationName[])
    await scope(async () => {
      const { operands, isWhole } = operations[name]
      const xs = operandsOf(
        name,
        operands.map(({ shape }) => shape),
      )
      const withGradients = hasGradient(name) && !isWhole ? [false, true] : [false]
      const values = await Promise.all(withGradients.map(each => callOf(name, xs, each)().data()))
      found.push({ name, hasFiniteValues: values.every(all => all.every(Number.isFinite)) })
    })
  return found
}
