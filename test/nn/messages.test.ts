// The messages for invalid uses of modules, losses and optimizers.

import { describe } from 'node:test'
import * as library from '../../src/index.ts'
import '../reference.ts'
import { type Loose, loose, refuse } from '../loose.ts'

const { AttentionalPooler, captioningLoss, classificationLoss, contrastiveLoss, Dropout, Embedding } = loose(library)
const { gridPositions, init, LayerNorm, Linear, lossAndGradients, MLP, Module, MultiHeadAttention, ones } =
  loose(library)
const { Parameter, PatchEmbedding, parameter, resizeGrid, tensor, TransformerBlock, withoutAllocation } = loose(library)
const { sequence, withParameters, zeros } = loose(library)

const linear = new Linear(3, 4)
const x = ones([2, 3])
const ids = (...list: number[]) => tensor(list, { dtype: 'int32' })

describe('a layer', () => {
  refuse([
    [
      'new Linear(3)',
      () => new Linear(3),
      'ArgumentError',
      'Linear: outputs is missing: it must be a whole number above 0; write new Linear(3, outputs)',
    ],
    [
      'new Linear()',
      () => new Linear(),
      'ArgumentError',
      'Linear: inputs is missing',
      'write new Linear(inputs, outputs)',
    ],
    [
      'new Linear([3, 4])',
      () => new Linear([3, 4]),
      'ArgumentError',
      'Linear: inputs must be a whole number above 0, not [3, 4]',
    ],
    ["new Linear('3', 4)", () => new Linear('3', 4), 'ArgumentError', "not '3'; write new Linear(3, 4)"],
    ['new Linear(2.5, 4)', () => new Linear(2.5, 4), 'ArgumentError', 'inputs must be a whole number above 0, not 2.5'],
    [
      'new Linear(3, 4, false)',
      () => new Linear(3, 4, false),
      'OptionsError',
      'Linear: options must be an object, not false',
      'write new Linear(inputs, outputs, { bias: false })',
    ],
    [
      'new Linear(3, 4, { use_bias: false })',
      () => new Linear(3, 4, { use_bias: false }),
      'OptionsError',
      'no option use_bias',
      '{ bias: false }',
    ],
    [
      "new Linear(3, 4, { init: 'xavier' })",
      () => new Linear(3, 4, { init: 'xavier' }),
      'OptionsError',
      "init must be a function, not 'xavier'",
    ],
    [
      'new Linear(3, 4, { init: init.normal })',
      () => new Linear(3, 4, { init: init.normal }),
      'ArgumentError',
      'init.normal: deviation must be a number, not [4, 3]',
    ],
    [
      'an initializer of another shape',
      () => parameter([2, 3], () => zeros([3, 2])),
      'ArgumentError',
      'parameter: an initializer must give a tensor [2, 3], not a tensor [3, 2]',
    ],
    [
      'an initializer that gives a function',
      () => parameter([2], () => () => 1),
      'ArgumentError',
      'call it first, as in init.normal(0.02)',
    ],
    [
      'init.normal()',
      () => init.normal(),
      'ArgumentError',
      'init.normal: deviation is missing',
      'write init.normal(deviation)',
    ],
    ['init.lecunNormal()', () => init.lecunNormal(), 'ArgumentError', 'init.lecunNormal: shape is missing'],
    ['init.lecunNormal([2])', () => init.lecunNormal([2]), 'ArgumentError', 'init.lecunNormal: generator is missing'],
    ['module.apply()', () => loose(linear.apply)(), 'ArgumentError', 'apply: f is missing'],
    ['init.zeros()', () => init.zeros(), 'ArgumentError', 'init.zeros: shape is missing'],
    ['new LayerNorm()', () => new LayerNorm(), 'ArgumentError', 'LayerNorm: width is missing'],
    [
      'new LayerNorm([8])',
      () => new LayerNorm([8]),
      'ArgumentError',
      'LayerNorm: width must be a whole number above 0, not [8]; write new LayerNorm(8, 0.00001)',
    ],
    [
      'new LayerNorm(8, { eps: 0.1 })',
      () => new LayerNorm(8, { eps: 0.1 }),
      'ArgumentError',
      'epsilon must be a number, not { eps: 0.1 }; write new LayerNorm(8, 0.1)',
    ],
    ['new Embedding(8)', () => new Embedding(8), 'ArgumentError', 'Embedding: width is missing'],
    ['new Dropout()', () => new Dropout(), 'ArgumentError', 'Dropout: p is missing'],
    ['new Dropout({ p: 0.1 })', () => new Dropout({ p: 0.1 }), 'ArgumentError', 'write new Dropout(0.1)'],
    ['new MLP(8)', () => new MLP(8), 'ArgumentError', 'MLP: hidden is missing'],
    [
      "new MLP(8, 16, 'swish')",
      () => new MLP(8, 16, 'swish'),
      'ArgumentError',
      "activation must be 'gelu', 'geluTanh', 'quickGelu', 'relu' or 'silu', not 'swish'; write new MLP(8, 16, 'silu')",
    ],
    [
      'parameter([2])',
      () => parameter([2]),
      'ArgumentError',
      'parameter: initialize is missing: it must be a function',
    ],
    ['parameter(2, 3)', () => parameter(2, 3), 'ArgumentError', 'shape must be a list of sizes'],
    [
      'new Parameter([1, 2])',
      () => new Parameter([1, 2]),
      'ArgumentError',
      'Parameter: value must be a tensor, not [1, 2]; write new Parameter(tensor([1, 2]))',
    ],
    [
      'parameter.assign([1])',
      () => linear.weight.assign([1]),
      'ArgumentError',
      'assign: value must be a tensor, not [1]',
    ],
    [
      'linear.forward([1, 2, 3])',
      () => linear.forward([1, 2, 3]),
      'ArgumentError',
      'linear: x must be a tensor, not [1, 2, 3]',
    ],
    [
      'embedding.forward([0])',
      () => new Embedding(3, 4).forward([0]),
      'ArgumentError',
      'embedding: ids must be an int32 tensor, not [0]',
    ],
    [
      'embedding.forward beyond its table',
      () => new Embedding(3, 4).forward(ids(7)),
      'IndexError',
      'embedding: index 7 is outside of 0 … 2',
    ],
    ['gridPositions(2)', () => gridPositions(2), 'ArgumentError', 'gridPositions: width is missing'],
    ['resizeGrid(x)', () => resizeGrid(x), 'ArgumentError', 'resizeGrid: from is missing'],
  ])
})

describe('attention and transformers', () => {
  const block = new TransformerBlock({ width: 8, heads: 2 })
  const attention = new MultiHeadAttention({ width: 8, heads: 2 })
  const pooler = new AttentionalPooler({ queries: 2, width: 8, heads: 2 })
  const patches = new PatchEmbedding({ imageSize: 4, patchSize: 2, width: 8 })
  refuse([
    [
      'new TransformerBlock({ width: 8, n_heads: 2 })',
      () => new TransformerBlock({ width: 8, n_heads: 2 }),
      'OptionsError',
      'TransformerBlock: there is no option n_heads, which was 2',
      'write new TransformerBlock({ heads: 2 })',
    ],
    [
      'new TransformerBlock({ width: 8 })',
      () => new TransformerBlock({ width: 8 }),
      'OptionsError',
      'heads is missing: it must be a number',
    ],
    [
      'new TransformerBlock(8, 2)',
      () => new TransformerBlock(8, 2),
      'OptionsError',
      'TransformerBlock: options must be an object, not 8',
      'write new TransformerBlock({ width: 8 })',
    ],
    [
      "new TransformerBlock({ …, activation: 'swish' })",
      () => new TransformerBlock({ width: 8, heads: 2, activation: 'swish' }),
      'OptionsError',
      "{ activation: 'silu' }",
    ],
    [
      'new MultiHeadAttention({ embed_dim: 8, num_heads: 2 })',
      () => new MultiHeadAttention({ embed_dim: 8, num_heads: 2 }),
      'OptionsError',
      'no option embed_dim',
      'write new MultiHeadAttention({ width: 8 })',
    ],
    [
      'new AttentionalPooler({ width: 8, heads: 2 })',
      () => new AttentionalPooler({ width: 8, heads: 2 }),
      'OptionsError',
      'AttentionalPooler: queries is missing',
    ],
    [
      'new PatchEmbedding({ size: 4, … })',
      () => new PatchEmbedding({ size: 4, patchSize: 2, width: 8 }),
      'OptionsError',
      'no option size',
      'write new PatchEmbedding({ imageSize: 4 })',
    ],
    [
      'sequence(block, x)',
      () => sequence(block, x, () => x),
      'ArgumentError',
      'sequence: x must be a tensor, not a TransformerBlock',
    ],
    [
      'sequence(x, block)',
      () => sequence(x, block, () => x),
      'ArgumentError',
      'sequence: modules must be a list of modules, not a TransformerBlock',
    ],
    [
      'sequence(x, [block])',
      () => sequence(x, [block]),
      'ArgumentError',
      'sequence: step is missing: it must be a function',
    ],
    [
      'a block on one sequence',
      () => block.forward(ones([5, 8])),
      'ShapeError',
      'TransformerBlock: x must be [batch, tokens, 8], not [5, 8]; write x.unsqueeze(0) for a batch of one',
    ],
    [
      'a block on another width',
      () => block.forward(ones([1, 5, 6])),
      'ShapeError',
      'TransformerBlock: x must be [batch, tokens, 8], not [1, 5, 6]',
    ],
    ['a block on a list', () => block.forward([1]), 'ArgumentError', 'forward: x must be a tensor, not [1]'],
    [
      'block.forward(x, { attn_mask: m })',
      () => block.forward(ones([1, 5, 8]), { attn_mask: x }),
      'OptionsError',
      'write block.forward(x, { mask: … })',
    ],
    [
      'block.forward(x, x)',
      () => block.forward(ones([1, 5, 8]), x),
      'OptionsError',
      'options must be an object, not a tensor [2, 3]',
      '{ mask: … }',
    ],
    [
      'a block without its memory',
      () => new TransformerBlock({ width: 8, heads: 2, memoryWidth: 4 }).forward(ones([1, 5, 8])),
      'TypeError',
      'needs a memory to attend to; write block.forward(x, { memory })',
    ],
    [
      'attention on one sequence',
      () => attention.forward(ones([5, 8])),
      'ShapeError',
      'MultiHeadAttention: x must be [batch, tokens, 8], not [5, 8]',
    ],
    [
      'attention to one memory',
      () => attention.forward(ones([1, 5, 8]), { memory: ones([5, 8]) }),
      'ShapeError',
      'MultiHeadAttention: memory must be [batch, tokens, 8], not [5, 8]; write memory.unsqueeze(0)',
    ],
    [
      'a pooler on one sequence',
      () => pooler.forward(ones([5, 8])),
      'ShapeError',
      'AttentionalPooler: tokens must be [batch, tokens, 8], not [5, 8]; write tokens.unsqueeze(0)',
    ],
    [
      'pooler.forward(tokens, { causal: true })',
      () => pooler.forward(ones([1, 5, 8]), { causal: true }),
      'OptionsError',
      'forward: there is no option causal, which was true; the options are mask and onWeights',
    ],
    [
      'patches of one image',
      () => patches.forward(ones([3, 4, 4])),
      'ShapeError',
      'not [3, 4, 4]; write images.unsqueeze(0) for a batch of one',
    ],
    [
      'patches of bytes',
      () => patches.forward(zeros([1, 3, 4, 4], { dtype: 'int32' })),
      'DTypeError',
      "write images.cast('float32').div(255)",
    ],
  ])
})

describe('a module', () => {
  refuse([
    [
      'lossAndGradients(module, loss)',
      () => lossAndGradients(linear, x),
      'ArgumentError',
      'lossAndGradients: f must be a function, not a tensor [2, 3]; write lossAndGradients(module, () => …)',
    ],
    [
      'lossAndGradients(f)',
      () => lossAndGradients(() => x),
      'ArgumentError',
      'lossAndGradients: module must be a module, or parameters with their names, not a function',
    ],
    [
      'a loss function that returns nothing',
      () => lossAndGradients(linear, () => undefined),
      'ArgumentError',
      'lossAndGradients: f returned undefined: return the loss',
    ],
    [
      'a loss function that returns a number',
      () => lossAndGradients(linear, () => 3),
      'ArgumentError',
      'lossAndGradients: f returned 3: return a scalar tensor',
    ],
    [
      'a loss function that returns an object without total',
      () => lossAndGradients(linear, () => ({ loss: x })),
      'ArgumentError',
      'or an object with one as total',
    ],
    [
      'an async loss function',
      () => lossAndGradients(linear, async () => x),
      'TypeError',
      'tape.run: f must not be async; await its data before',
    ],
    [
      'module.loadStateDict({})',
      () => linear.loadStateDict({}),
      'ArgumentError',
      'loadStateDict: state must be a Map of tensors by name, as stateDict gives it, not {}',
    ],
    [
      'withParameters(module, f)',
      () => withParameters(linear, () => x),
      'ArgumentError',
      'withParameters: values must be a list of tensors, not a function',
    ],
    [
      'withoutAllocation(module)',
      () => withoutAllocation(linear),
      'ArgumentError',
      'withoutAllocation: f must be a function, not a Linear',
    ],
    ['module.to(cuda)', () => linear.to('cuda'), 'DeviceError', "there is no device 'cuda'"],
  ])
})

describe('a loss', () => {
  const pairs = [ones([2, 4]), ones([2, 4]), 1] as const
  refuse([
    [
      'contrastiveLoss(image, text, scale)',
      () => contrastiveLoss(...pairs),
      'OptionsError',
      "contrastiveLoss: reduction is missing: it must be 'sum' or 'mean'",
    ],
    [
      "contrastiveLoss(image, text, scale, 'mean')",
      () => contrastiveLoss(...pairs, 'mean'),
      'OptionsError',
      "write contrastiveLoss(image, text, scale, { reduction: 'mean' })",
    ],
    [
      "contrastiveLoss(…, { reduction: 'none' })",
      () => contrastiveLoss(...pairs, { reduction: 'none' }),
      'OptionsError',
      "reduction must be 'sum' or 'mean', not 'none'",
    ],
    [
      "contrastiveLoss(image, text, { reduction: 'mean' })",
      () => contrastiveLoss(pairs[0], pairs[1], { reduction: 'mean' }),
      'ArgumentError',
      'scale must be a tensor or a number',
    ],
    [
      'captioningLoss(logits, tokens)',
      () => captioningLoss(ones([1, 2, 3]), zeros([1, 2])),
      'OptionsError',
      'captioningLoss: reduction is missing',
    ],
    [
      'captioningLoss(…, { ignore_index: 0 })',
      () => captioningLoss(ones([1, 2, 3]), zeros([1, 2]), { reduction: 'mean', ignore_index: 0 }),
      'OptionsError',
      'write captioningLoss(logits, tokens, { ignore: 0 })',
    ],
    [
      'classificationLoss(logits, [0, 1])',
      () => classificationLoss(x, [0, 1]),
      'ArgumentError',
      'classificationLoss: targets must be an int32 tensor, not [0, 1]',
    ],
    [
      'classificationLoss(…, { label_smoothing: 0.1 })',
      () => classificationLoss(x, ids(0, 1), { label_smoothing: 0.1 }),
      'OptionsError',
      '{ smoothing: 0.1 }',
    ],
    [
      'class ids as floats',
      () => classificationLoss(x, tensor([0, 1])),
      'DTypeError',
      'crossEntropy: target must be int32, not float32',
    ],
  ])
})

/** A module of somebody's own. */
class Mine extends (Module as unknown as new () => object) {
  readonly inner: Loose = new Linear(2, 2)
}

describe('a user-defined module', () => {
  refuse([
    ['a loss without its total', () => lossAndGradients(new Mine(), () => ({})), 'ArgumentError', 'f returned {}'],
  ])
})
