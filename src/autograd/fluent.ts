// The operations as methods: x.matmul(w).gelu(). src/tensor does not depend on gradients, so they are added to its
// class here; rules and modules are written with them. This file acts by being imported, so package.json has no
// `sideEffects`: a list there has to name every file on the way to this one, and makes a small program 1 % smaller.

import { Tensor } from '../tensor/index.ts'
import type * as attention from './ops/attention.ts'
import type * as elementwise from './ops/elementwise.ts'
import type * as fused from './ops/fused.ts'
import type * as gather from './ops/gather.ts'
import * as ops from './ops/index.ts'
import type * as matmul from './ops/matmul.ts'
import type * as movement from './ops/movement.ts'
import type * as network from './ops/network.ts'
import type * as reduce from './ops/reduce.ts'

/** The files that define the operations: through ops/index.ts a type of theirs would come without its documentation. */
type Functions = typeof attention &
  typeof elementwise &
  typeof fused &
  typeof gather &
  typeof matmul &
  typeof movement &
  typeof network &
  typeof reduce

/** Operations that take a tensor first; as methods they take the rest. */
const names = [
  'add',
  'sub',
  'mul',
  'div',
  'pow',
  'maximum',
  'minimum',
  'neg',
  'abs',
  'sign',
  'exp',
  'expm1',
  'log',
  'log1p',
  'sqrt',
  'rsqrt',
  'square',
  'sin',
  'cos',
  'tanh',
  'sigmoid',
  'erf',
  'relu',
  'gelu',
  'silu',
  'softplus',
  'quickGelu',
  'clamp',
  'equal',
  'notEqual',
  'greater',
  'greaterEqual',
  'less',
  'lessEqual',
  'logicalAnd',
  'logicalOr',
  'logicalNot',
  'cast',
  'stopGradient',
  'sum',
  'mean',
  'max',
  'min',
  'variance',
  'logSumExp',
  'norm',
  'argmax',
  'cumsum',
  'sumTo',
  'matmul',
  'reshape',
  'permute',
  'transpose',
  'expand',
  'squeeze',
  'unsqueeze',
  'slice',
  'pad',
  'split',
  'flip',
  'gather',
  'take',
  'softmax',
  'logSoftmax',
  'layerNorm',
  'linear',
  'attention',
  'crossEntropy',
  'normalize',
] as const satisfies readonly (keyof Functions)[]

type Method<F> = F extends (x: Tensor, ...rest: infer Rest) => infer Result ? (...rest: Rest) => Result : never
/** Mapped from the functions, whose documentation is so that of the methods. */
type Methods = { [Name in keyof Pick<Functions, (typeof names)[number]>]: Method<Functions[Name]> }

declare module '../tensor/tensor.ts' {
  interface Tensor extends Methods {}
}

/** The methods as functions. */
export const methods = pick(ops, names)

function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.map(key => [key, from[key]])) as Pick<T, K>
}

for (const [name, f] of Object.entries(methods) as [string, (x: Tensor, ...rest: unknown[]) => unknown][]) {
  Object.defineProperty(Tensor.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Tensor, ...rest: unknown[]) {
      return f(this, ...rest)
    },
  })
}
