// The layers that everything is built of.

import { dropout, embedding, layerNorm, linear } from '../autograd/index.ts'
import type { Tensor } from '../tensor/index.ts'
import { type Initializer, lecunNormal, normal, ones, zeros } from './init.ts'
import { Module } from './module.ts'
import { type Parameter, parameter } from './parameter.ts'

export interface LinearOptions {
  /** default true */
  readonly bias?: boolean
  /** of the weight; default LeCun normal. The bias begins at 0. */
  readonly init?: Initializer
}

/** x Wᵀ + b: [..., in] → [..., out] */
export class Linear extends Module {
  readonly weight: Parameter // [out, in]
  readonly bias?: Parameter // [out]

  constructor(inputs: number, outputs: number, { bias = true, init = lecunNormal }: LinearOptions = {}) {
    super()
    this.weight = parameter([outputs, inputs], init)
    if (bias) this.bias = parameter([outputs], zeros)
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias)
  }
}

/** weight (x - mean) / √(variance + ε) + bias over the last axis */
export class LayerNorm extends Module {
  readonly weight: Parameter
  readonly bias: Parameter
  readonly epsilon: number

  constructor(width: number, epsilon = 1e-5) {
    super()
    this.weight = parameter([width], ones)
    this.bias = parameter([width], zeros)
    this.epsilon = epsilon
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, { weight: this.weight, bias: this.bias, epsilon: this.epsilon })
  }
}

/** A row of a table for every id: int32 [...] → [..., width] */
export class Embedding extends Module {
  readonly weight: Parameter // [count, width]

  constructor(count: number, width: number, init: Initializer = normal(0.02)) {
    super()
    this.weight = parameter([count, width], init)
  }

  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids)
  }
}

/** In training, elements are zero with probability p and the others grow by 1 / (1 - p); in evaluation nothing happens. */
export class Dropout extends Module {
  readonly p: number

  constructor(p: number) {
    super()
    if (!(p >= 0 && p < 1)) throw new RangeError(`Dropout: a probability below 1, not ${p}`)
    this.p = p
  }

  forward(x: Tensor): Tensor {
    return this.training ? dropout(x, this.p) : x
  }
}

export type Activation = 'gelu' | 'quickGelu' | 'relu' | 'silu'

/** Two linear layers with an activation between: [..., width] → [..., width] */
export class MLP extends Module {
  readonly up: Linear
  readonly down: Linear
  readonly activation: Activation

  constructor(width: number, hidden: number, activation: Activation = 'gelu') {
    super()
    this.up = new Linear(width, hidden)
    this.down = new Linear(hidden, width)
    this.activation = activation
  }

  forward(x: Tensor): Tensor {
    return this.down.forward(this.up.forward(x)[this.activation]())
  }
}
