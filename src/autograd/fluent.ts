// The operations as methods: x.matmul(w).gelu(). src/tensor does not depend on gradients, so they are added to its
// class here; rules and modules are written with them. Importing this file has an effect, so package.json has no
// `sideEffects` list: it would have to name every file that leads to this one, and makes a small program only 1 % smaller.

import { ShapeError, show, Tensor } from '../tensor/index.ts'
import type * as allCloseModule from './all-close.ts'
import { allClose } from './all-close.ts'
import type * as activation from './ops/activation.ts'
import type * as arrange from './ops/arrange.ts'
import type * as attention from './ops/attention.ts'
import type * as close from './ops/close.ts'
import type * as convolution from './ops/convolution.ts'
import type * as diagonals from './ops/diagonals.ts'
import type * as dropout from './ops/dropout.ts'
import type * as einsum from './ops/einsum.ts'
import type * as elementwise from './ops/elementwise.ts'
import type * as gather from './ops/gather.ts'
import * as ops from './ops/index.ts'
import type * as indexing from './ops/indexing.ts'
import type * as interpolation from './ops/interpolation.ts'
import type * as matmul from './ops/matmul.ts'
import type * as movement from './ops/movement.ts'
import type * as normalization from './ops/normalization.ts'
import type * as order from './ops/order.ts'
import type * as pooling from './ops/pooling.ts'
import type * as reduce from './ops/reduce.ts'
import type * as rounding from './ops/rounding.ts'
import type * as sampling from './ops/sampling.ts'
import type * as scan from './ops/scan.ts'
import type * as sized from './ops/sized.ts'
import type * as softmax from './ops/softmax.ts'
import type * as trigonometry from './ops/trigonometry.ts'

/** The modules that define the operations: types taken from ops/index.ts would come without their documentation. */
type Functions = typeof activation &
  typeof arrange &
  typeof attention &
  typeof convolution &
  typeof diagonals &
  typeof close &
  typeof dropout &
  typeof einsum &
  typeof elementwise &
  typeof gather &
  typeof interpolation &
  typeof indexing &
  typeof matmul &
  typeof movement &
  typeof normalization &
  typeof order &
  typeof pooling &
  typeof reduce &
  typeof rounding &
  typeof sampling &
  typeof scan &
  typeof sized &
  typeof softmax &
  typeof trigonometry

/**
 * Operations that are not methods: their first argument is not a tensor, or is not the tensor that they operate on. Every
 * other operation is a method; one whose first argument is not a tensor and that is missing here does not compile.
 */
const functionsOnly = {
  // the first argument is not a tensor
  broadcast: true,
  causalMask: true,
  concat: true,
  einsum: true,
  meshgrid: true,
  scatterAdd: true,
  stack: true,
  // the first tensor is a condition, a table or ids
  where: true,
  embedding: true,
  oneHot: true,
  // for modules and the tape
  attentionWeights: true,
  dropout: true,
  identity: true,
  standardize: true,
} as const satisfies Partial<Record<keyof typeof ops, true>>

type MethodName = Exclude<keyof typeof ops, keyof typeof functionsOnly | 'fusedOps'>

/** Functions that are methods too, and give no tensor at once. */
const asynchronous = { allClose }

type Method<F> = F extends (x: Tensor, ...rest: infer Rest) => infer Result ? (...rest: Rest) => Result : never
/** Mapped from the functions, so that the methods have their documentation. */
type Methods = { [Name in keyof Pick<Functions, MethodName>]: Method<Functions[Name]> }
type AsynchronousMethods = {
  [Name in keyof Pick<typeof allCloseModule, keyof typeof asynchronous>]: Method<(typeof allCloseModule)[Name]>
}

declare module '../tensor/tensor.ts' {
  interface Tensor extends Methods, AsynchronousMethods {
    /** The transpose of a matrix: x.transpose(). @throws ShapeError unless x has two axes, as in the array API standard */
    readonly T: Tensor
  }
}

/** A function whose first argument is a tensor: the compiler reports that any other is missing from the list above. */
type TakesTensor<F extends (x: Tensor, ...rest: never[]) => unknown> = F
type MethodFunctions = { readonly [Name in MethodName]: TakesTensor<(typeof ops)[Name]> }

const methods: Record<string, unknown> = { ...(ops satisfies MethodFunctions), ...asynchronous }
for (const [name, f] of Object.entries(methods)) {
  if (typeof f !== 'function' || Object.hasOwn(functionsOnly, name)) continue
  Object.defineProperty(Tensor.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Tensor, ...rest: unknown[]) {
      return f(this, ...rest)
    },
  })
}

Object.defineProperty(Tensor.prototype, 'T', {
  configurable: true,
  get(this: Tensor): Tensor {
    if (this.rank === 2) return ops.transpose(this)
    throw new ShapeError(
      `T: the transpose of a matrix, and ${show(this.shape)} is none; write x.transpose() to exchange the last two axes, or x.permute(order)`,
      this.shape,
    )
  },
})
