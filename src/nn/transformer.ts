// The transformer block, pre-norm: every sub-layer gets a normalised input and adds its result to the residual stream.

import { checkpoint, isRecording } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type AttendOptions, isCache, type KeyValueCache, MultiHeadAttention, ofWeights } from './attention.ts'
import { SwiGLU } from './gated.ts'
import { isObserved } from './hooks.ts'
import { type Activation, Dropout, isActivation, LayerNorm, MLP } from './layers.ts'
import { Module, nameOf } from './module.ts'
import { checkTokens } from './tokens.ts'

/** Options of `TransformerBlock`. */
export interface TransformerBlockOptions {
  /** width of the tokens */
  readonly width: number
  /** number of heads, which divides the width */
  readonly heads: number
  /** number of heads of keys and values in self-attention, as of {@link MultiHeadAttention}; default: as many as heads */
  readonly keyHeads?: number
  /** width inside the feed-forward layer; default 4 × width */
  readonly hidden?: number
  /** width of the memory for cross-attention; without it the block has none */
  readonly memoryWidth?: number
  /** normalise the memory too; default false */
  readonly memoryNorm?: boolean
  /** a second feed-forward layer, between self-attention and cross-attention; default false */
  readonly selfMlp?: boolean
  /** ε of the layer norms; default 1e-5 */
  readonly normEpsilon?: number
  /** of the feed-forward layers; default gelu */
  readonly activation?: Activation
  /** the feed-forward layers: an {@link MLP} with the activation (default), or a {@link SwiGLU}, which has its own */
  readonly feedForward?: 'mlp' | 'swiglu'
  /** probability of dropping an attention weight, and an element of what each layer adds to x; default 0 */
  readonly dropout?: number
}
const transformerBlockOptions = {
  width: is.count,
  heads: is.number,
  keyHeads: is.optional(is.number),
  hidden: is.optional(is.count),
  memoryWidth: is.optional(is.count),
  memoryNorm: false,
  selfMlp: false,
  normEpsilon: 1e-5,
  activation: isActivation,
  feedForward: is.choice<'mlp' | 'swiglu'>('mlp', 'swiglu'),
  dropout: 0,
} satisfies Settings<TransformerBlockOptions>

/** Options of `forward` of a `TransformerBlock`. */
export interface BlockForwardOptions extends Pick<AttendOptions, 'mask' | 'causal' | 'cache'> {
  /** [batch, keys, memoryWidth], for a block with cross-attention */
  readonly memory?: Tensor
  /** keys and values of the memory, which are computed once */
  readonly memoryCache?: KeyValueCache
  /** is called with the weights over the memory, [batch, heads, tokens, keys] */
  readonly onMemoryWeights?: (weights: Tensor) => void
}
const blockForwardOptions = {
  mask: is.optional(is.tensor),
  causal: false,
  cache: is.optional(isCache),
  memory: is.optional(is.tensor),
  memoryCache: is.optional(isCache),
  onMemoryWeights: is.optional(ofWeights),
} satisfies Settings<BlockForwardOptions>

type SettledForward = BlockForwardOptions & { readonly causal: boolean }

/** x += attention(LN x); x += MLP(LN x), if `selfMlp`; x += attention(LN x, memory), if there is a memory; x += MLP(LN x) */
export class TransformerBlock extends Module {
  /** normalises before self-attention */
  readonly attentionNorm: LayerNorm
  /** self-attention */
  readonly attention: MultiHeadAttention
  /** normalises before `selfMlp` */
  readonly selfMlpNorm?: LayerNorm
  /** the feed-forward layer after self-attention; only with the option `selfMlp` */
  readonly selfMlp?: MLP | SwiGLU
  /** normalises before cross-attention */
  readonly crossNorm?: LayerNorm
  /** normalises the memory; only with the option `memoryNorm` */
  readonly memoryNorm?: LayerNorm
  /** attention to the memory; only with the option `memoryWidth` */
  readonly crossAttention?: MultiHeadAttention
  /** normalises before the feed-forward layer */
  readonly mlpNorm: LayerNorm
  /** the feed-forward layer */
  readonly mlp: MLP | SwiGLU
  /** of what each layer adds to x; absent with dropout 0 */
  readonly dropout?: Dropout
  /** whether the intermediate values of the block are computed again in the backward pass, see {@link checkpointBlocks} */
  gradientCheckpointing = false

  constructor(options: TransformerBlockOptions) {
    super()
    const settled = settle('new TransformerBlock(options)', options, transformerBlockOptions)
    const {
      width,
      heads,
      keyHeads,
      hidden = 4 * width,
      memoryWidth,
      memoryNorm,
      selfMlp,
      activation,
      dropout,
    } = settled
    const norm = (of: number) => new LayerNorm(of, settled.normEpsilon)
    this.attentionNorm = norm(width)
    const feedForward = () =>
      settled.feedForward === 'swiglu' ? new SwiGLU(width, hidden) : new MLP(width, hidden, activation)
    this.attention = new MultiHeadAttention({ width, heads, keyHeads, dropout })
    if (selfMlp) {
      this.selfMlpNorm = norm(width)
      this.selfMlp = feedForward()
    }
    if (memoryWidth !== undefined) {
      this.crossNorm = norm(width)
      if (memoryNorm) this.memoryNorm = norm(memoryWidth)
      this.crossAttention = new MultiHeadAttention({ width, heads, memoryWidth, dropout })
    }
    this.mlpNorm = norm(width)
    this.mlp = feedForward()
    if (dropout > 0) this.dropout = new Dropout(dropout)
  }

  /** [batch, tokens, width] → [batch, tokens, width] */
  forward(x: Tensor, options?: BlockForwardOptions): Tensor {
    const call = 'block.forward(x, options)'
    checkArguments(call, [is.tensor], [x])
    const settled = settle(call, options, blockForwardOptions)
    checkTokens('TransformerBlock: x', x, this.attention.query.weight.shape[1])
    const { cache, memoryCache, onMemoryWeights } = settled
    const storesAll = !this.gradientCheckpointing || cache || memoryCache || onMemoryWeights
    if (storesAll || !isRecording() || isObserved(this)) return outputOf(this, x, settled)
    return checkpoint(() => outputOf(this, x, settled))()
  }
}

/** The block itself; a function, because a class with a private method cannot be copied. */
function outputOf(
  block: TransformerBlock,
  x: Tensor,
  { mask, causal, cache, memory, memoryCache, onMemoryWeights }: SettledForward,
): Tensor {
  const drop = (z: Tensor) => block.dropout?.forward(z) ?? z
  let y = x.add(drop(block.attention.forward(block.attentionNorm.forward(x), { mask, causal, cache })))
  if (block.selfMlp && block.selfMlpNorm) y = y.add(drop(block.selfMlp.forward(block.selfMlpNorm.forward(y))))
  if (block.crossAttention && block.crossNorm) {
    if (!memory)
      throw new TypeError(
        'TransformerBlock: this block needs a memory to attend to; write block.forward(x, { memory })',
      )
    // keys and values in a cache were computed from it before
    const normed = block.memoryNorm && !memoryCache?.keys ? block.memoryNorm.forward(memory) : memory
    const attended = block.crossAttention.forward(block.crossNorm.forward(y), {
      memory: normed,
      cache: memoryCache,
      onWeights: onMemoryWeights,
    })
    y = y.add(drop(attended))
  }
  return y.add(drop(block.mlp.forward(block.mlpNorm.forward(y))))
}

/**
 * Turns gradient checkpointing of all {@link TransformerBlock}s in a model on or off (Chen et al. 2016): while a tape records, a block keeps its
 * arguments, and the backward pass computes the rest again. Training then takes about a third longer, and its activations need the
 * memory of one block and of one [batch, tokens, width] for each. Losses and gradients are the same, bit for bit, also with dropout.
 *
 *     checkpointBlocks(model)
 *
 * A block that is looked into stores all of its values, as without checkpointing: one with a function of `onForward` on a module inside,
 * or whose attention weights are captured. Functions on the block itself are called once. PyTorch's `torch.utils.checkpoint`, timm's
 * `set_grad_checkpointing`.
 * @param on default true
 * @returns the model
 * @throws TypeError for a model without such blocks
 */
export function checkpointBlocks<M extends Module>(model: M, on = true): M {
  checkArguments('checkpointBlocks(model, on)', [is.instance('a module', Module), is.flag], [model, on])
  let count = 0
  model.apply(module => {
    if (!(module instanceof TransformerBlock)) return
    module.gradientCheckpointing = on
    count++
  })
  if (count > 0) return model
  throw new TypeError(
    `checkpointBlocks: ${nameOf(model)} has no TransformerBlock; write checkpoint(x => layer.forward(x))(x) around a part of its forward`,
  )
}
