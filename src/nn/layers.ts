// The basic layers.

import { dropout, embedding, layerNorm, linear } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type Initializer, lecunNormal, normal, ones, zeros } from './init.ts'
import { Module } from './module.ts'
import { type Parameter, parameter } from './parameter.ts'

/** Options of `Linear`. */
export interface LinearOptions {
  /** default true */
  readonly bias?: boolean
  /** initializer of the weight; default LeCun normal. The bias is initialised to 0. */
  readonly init?: Initializer
}
const linearOptions = { bias: true, init: lecunNormal } satisfies Settings<LinearOptions>

/** x Wᵀ + b: [..., in] → [..., out] */
export class Linear extends Module {
  /** W, [out, in] */
  readonly weight: Parameter
  /** b, [out]; absent with `bias: false` */
  readonly bias?: Parameter

  constructor(inputs: number, outputs: number, options?: LinearOptions) {
    super()
    const call = 'new Linear(inputs, outputs, options)'
    checkArguments(call, [is.count, is.count], [inputs, outputs])
    const { bias, init } = settle(call, options, linearOptions)
    this.weight = parameter([outputs, inputs], init)
    if (bias) this.bias = parameter([outputs], zeros)
  }

  /** x Wᵀ + b: [..., in] → [..., out] */
  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias)
  }
}

/** weight (x - mean) / √(variance + ε) + bias over the last axis */
export class LayerNorm extends Module {
  /** γ, [width] */
  readonly weight: Parameter
  /** β, [width] */
  readonly bias: Parameter
  /** ε, added to the variance */
  readonly epsilon: number

  constructor(width: number, epsilon = 1e-5) {
    super()
    checkArguments('new LayerNorm(width, epsilon)', [is.count, is.number], [width, epsilon])
    this.weight = parameter([width], ones)
    this.bias = parameter([width], zeros)
    this.epsilon = epsilon
  }

  /** The normalised x, scaled by γ and shifted by β: [..., width] → [..., width] */
  forward(x: Tensor): Tensor {
    return layerNorm(x, { weight: this.weight, bias: this.bias, epsilon: this.epsilon })
  }
}

/** Maps every id to a row of a table: int32 [...] → [..., width] */
export class Embedding extends Module {
  /** a row for each id, [count, width] */
  readonly weight: Parameter

  constructor(count: number, width: number, init: Initializer = normal(0.02)) {
    super()
    checkArguments('new Embedding(count, width, init)', [is.count, is.count, is.callback], [count, width, init])
    this.weight = parameter([count, width], init)
  }

  /** The rows of ids: int32 [...] → [..., width] */
  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids)
  }
}

/** In training, sets elements to zero with probability p and multiplies the others by 1 / (1 - p); in evaluation, the identity. */
export class Dropout extends Module {
  /** probability of dropping an element */
  readonly p: number

  constructor(p: number) {
    super()
    checkArguments('new Dropout(p)', [is.number], [p])
    if (!(p >= 0 && p < 1)) throw new RangeError(`Dropout: the probability must be in [0, 1), not ${p}`)
    this.p = p
  }

  /** In training, x / (1 - p) where an element is kept and 0 elsewhere; in evaluation, x. Of the shape of x. */
  forward(x: Tensor): Tensor {
    return this.training ? dropout(x, this.p) : x
  }
}

/** `geluTanh` is GELU by its approximation with tanh, `quickGelu` x σ(1.702 x). */
export type Activation = 'gelu' | 'geluTanh' | 'quickGelu' | 'relu' | 'silu'
/** Checks an option that names an activation. */
export const isActivation = is.choice<Activation>('gelu', 'geluTanh', 'quickGelu', 'relu', 'silu')

const activate = (x: Tensor, activation: Activation): Tensor =>
  activation === 'geluTanh' ? x.gelu({ approximate: 'tanh' }) : x[activation]()

/** Two linear layers with an activation between: [..., width] → [..., width] */
export class MLP extends Module {
  /** x → width hidden */
  readonly up: Linear
  /** back to the width of x */
  readonly down: Linear
  /** name of the function between them */
  readonly activation: Activation

  constructor(width: number, hidden: number, activation: Activation = 'gelu') {
    super()
    checkArguments(
      'new MLP(width, hidden, activation)',
      [is.count, is.count, isActivation],
      [width, hidden, activation],
    )
    this.up = new Linear(width, hidden)
    this.down = new Linear(hidden, width)
    this.activation = activation
  }

  /** down(activation(up(x))): [..., width] → [..., width] */
  forward(x: Tensor): Tensor {
    return this.down.forward(activate(this.up.forward(x), this.activation))
  }
}
