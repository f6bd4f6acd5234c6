// The operations as methods: x.matmul(w).gelu(). The tensor room knows nothing of gradients, so they are put onto its
// class here; rules and modules are written with them. This file acts by being imported, so package.json has no
// `sideEffects`: a list there has to name every file on the way to this one, and makes a small program 1 % smaller.

import { type DType, type Operand, type Padding, type Range, type Shape, Tensor } from '../tensor/index.ts'
import type {
  ArgmaxOptions,
  AttentionOptions,
  AxisOptions,
  ClampOptions,
  CrossEntropyOptions,
  GatherOptions,
  GeluOptions,
  LayerNormOptions,
  NormalizeOptions,
  NormOptions,
  ReduceOptions,
  VarianceOptions,
} from './ops/index.ts'
import * as ops from './ops/index.ts'

declare module '../tensor/tensor.ts' {
  interface Tensor {
    add(y: Operand): Tensor
    sub(y: Operand): Tensor
    mul(y: Operand): Tensor
    div(y: Operand): Tensor
    pow(y: Operand): Tensor
    maximum(y: Operand): Tensor
    minimum(y: Operand): Tensor
    neg(): Tensor
    abs(): Tensor
    sign(): Tensor
    exp(): Tensor
    expm1(): Tensor
    log(): Tensor
    log1p(): Tensor
    sqrt(): Tensor
    rsqrt(): Tensor
    square(): Tensor
    sin(): Tensor
    cos(): Tensor
    tanh(): Tensor
    sigmoid(): Tensor
    erf(): Tensor
    relu(): Tensor
    gelu(options?: GeluOptions): Tensor
    silu(): Tensor
    softplus(): Tensor
    quickGelu(): Tensor
    clamp(limits: ClampOptions): Tensor
    equal(y: Operand): Tensor
    notEqual(y: Operand): Tensor
    greater(y: Operand): Tensor
    greaterEqual(y: Operand): Tensor
    less(y: Operand): Tensor
    lessEqual(y: Operand): Tensor
    logicalAnd(y: Tensor): Tensor
    logicalOr(y: Tensor): Tensor
    logicalNot(): Tensor
    cast(dtype: DType): Tensor
    stopGradient(): Tensor
    sum(options?: ReduceOptions): Tensor
    mean(options?: ReduceOptions): Tensor
    max(options?: ReduceOptions): Tensor
    min(options?: ReduceOptions): Tensor
    variance(options?: VarianceOptions): Tensor
    logSumExp(options?: ReduceOptions): Tensor
    norm(options?: NormOptions): Tensor
    argmax(options?: ArgmaxOptions): Tensor
    cumsum(options?: AxisOptions): Tensor
    sumTo(shape: Shape): Tensor
    matmul(y: Tensor): Tensor
    reshape(shape: Shape): Tensor
    permute(order: readonly number[]): Tensor
    transpose(a?: number, b?: number): Tensor
    expand(shape: Shape): Tensor
    squeeze(axis?: number | readonly number[]): Tensor
    unsqueeze(axis: number): Tensor
    slice(ranges: readonly (Range | number)[]): Tensor
    pad(padding: Padding, value?: number): Tensor
    split(sizes: number | readonly number[], axis?: number): Tensor[]
    flip(axis: number | readonly number[]): Tensor
    gather(indices: Tensor, options?: GatherOptions): Tensor
    take(indices: Tensor, options?: GatherOptions): Tensor
    softmax(options?: AxisOptions): Tensor
    logSoftmax(options?: AxisOptions): Tensor
    layerNorm(options?: LayerNormOptions): Tensor
    linear(weight: Tensor, bias?: Tensor): Tensor
    attention(keys: Tensor, values: Tensor, options?: AttentionOptions): Tensor
    crossEntropy(target: Tensor, options?: CrossEntropyOptions): Tensor
    normalize(options?: NormalizeOptions): Tensor
  }
}

/** Every function here takes the tensor first; as a method it takes the rest. */
export const methods = {
  ...pickMethods(ops, [
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
  ]),
}

function pickMethods<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map(name => [name, from[name]])) as Pick<T, K>
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
