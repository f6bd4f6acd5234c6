// The gated feed-forward layer of newer transformers.

import { checkArguments } from '../tensor/arguments.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { Linear, type LinearOptions } from './layers.ts'
import { Module } from './module.ts'

/**
 * The feed-forward layer with a gate (Shazeer 2020): down(silu(gate x) ⊙ up x), [..., width] → [..., width]. In LLaMA it has no biases
 * (`{ bias: false }`) and `hidden` is about 8/3 of the width, so that it has as many parameters as an MLP of 4 times the width.
 */
export class SwiGLU extends Module {
  /** x → the gate, of width hidden */
  readonly gate: Linear
  /** x → what the gate lets through, of width hidden */
  readonly up: Linear
  /** the product of both → the result */
  readonly down: Linear

  constructor(width: number, hidden: number, options?: LinearOptions) {
    super()
    checkArguments('new SwiGLU(width, hidden, options)', [is.count, is.count], [width, hidden])
    this.gate = new Linear(width, hidden, options)
    this.up = new Linear(width, hidden, options)
    this.down = new Linear(hidden, width, options)
  }

  /** down(silu(gate(x)) ⊙ up(x)): [..., width] → [..., width] */
  forward(x: Tensor): Tensor {
    return this.down.forward(this.gate.forward(x).silu().mul(this.up.forward(x)))
  }
}
