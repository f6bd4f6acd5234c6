// One record for every module, loss and model: its construction, at a size at which everything can be tested, and its inputs. A
// test fails if one has none.

import { concat, type TensorFunction } from '../../../src/autograd/index.ts'
import {
  Captioner,
  ClassificationHead,
  CoCa,
  type CoCaConfig,
  DualEncoder,
  ImageClassifier,
  MultimodalClassifier,
  MultimodalDecoder,
  MultimodalHead,
  UnimodalDecoder,
  VideoClassifier,
  VideoHead,
  VisionTransformer,
} from '../../../src/models/index.ts'
import {
  AdaptiveAvgPool2d,
  AttentionalPooler,
  AvgPool2d,
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  bceWithLogitsLoss,
  Conv1d,
  Conv2d,
  Conv3d,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  captioningLoss,
  classificationLoss,
  contrastiveLoss,
  cosineEmbeddingLoss,
  Dropout,
  Dropout2d,
  diceLoss,
  Embedding,
  Flatten,
  focalLoss,
  GRU,
  GRUCell,
  GroupNorm,
  huberLoss,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  infoNceLoss,
  klDivergenceLoss,
  LatentPooler,
  LayerNorm,
  Linear,
  LSTM,
  LSTMCell,
  l1Loss,
  MaxPool2d,
  MLP,
  type Module,
  MultiHeadAttention,
  mseLoss,
  nllLoss,
  PatchEmbedding,
  RMSNorm,
  RNN,
  RNNCell,
  Sequential,
  SwiGLU,
  sigmoidContrastiveLoss,
  smoothL1Loss,
  TransformerBlock,
  tripletLoss,
  Upsample,
  withParameters,
} from '../../../src/nn/index.ts'
import { device, Generator, randn, type Shape, type Tensor, tensor } from '../../../src/tensor/index.ts'

export interface ModuleRecord {
  readonly name: string
  readonly inputs: readonly Tensor[]
  make(): Module
  /** what it computes of the inputs */
  run(module: Module, ...inputs: Tensor[]): Tensor
}

export interface LossRecord {
  readonly name: string
  readonly inputs: readonly Tensor[]
  readonly f: TensorFunction
}

const generator = new Generator(20220504)
const numbers = (...shape: number[]): Tensor =>
  randn(shape as Shape, { dtype: 'float64', device: 'reference', generator })
const ids = (rows: readonly number[] | readonly (readonly number[])[]): Tensor =>
  tensor(rows, { dtype: 'int32', device: 'reference' })
const flags = (rows: readonly (readonly boolean[])[]): Tensor => tensor(rows, { device: 'reference' })

const of = <M extends Module>(
  name: string,
  make: () => M,
  inputs: readonly Tensor[],
  run: (module: M, ...inputs: Tensor[]) => Tensor,
): ModuleRecord => ({ name, inputs, make, run: (module, ...xs) => run(module as M, ...xs) })

const image = { size: 4, patch: 2, width: 4, layers: 1, heads: 2, hidden: 3 }
const text = {
  vocabulary: 5,
  context: 3,
  width: 4,
  heads: 2,
  hidden: 3,
  unimodalLayers: 1,
  multimodalLayers: 1,
  pad: 0,
} satisfies CoCaConfig['text']
const coca: CoCaConfig = { image, text, pooler: { queries: 2, heads: 2 }, embedding: 3 }

const pictures = numbers(2, 3, 4, 4)
const texts = ids([
  [1, 3, 4],
  [2, 1, 0],
])
const tokens = numbers(2, 3, 4)
const memory = numbers(2, 2, 3)
const frames = numbers(2, 2, 3, 4)
const pairs = numbers(2, 2, 3, 4, 4)
/** the second text ends early */
const seen = flags([
  [true, true, true],
  [true, true, false],
])
const block = { width: 4, heads: 2, hidden: 3 }

/** Values that make no parameter a special case, as zeros and ones of an initialisation are. */
function stirred(module: Module): Tensor[] {
  const generator = new Generator(1)
  return module
    .parameters()
    .map(({ shape }) => randn(shape, { dtype: 'float64', device: 'reference', generator }).mul(0.5))
}

/** A module as a function of its inputs and all its parameters together. */
export function wholeOf({ inputs, make, run }: ModuleRecord): { f: TensorFunction; inputs: readonly Tensor[] } {
  const module = device.with('reference', make)
  const count = inputs.length
  return {
    f: (...all) => withParameters(module, all.slice(count), () => run(module, ...all.slice(0, count))),
    inputs: [...inputs, ...stirred(module)],
  }
}

/** What a recurrent layer gives, as one tensor. */
const parts = ({ output, state }: { readonly output: Tensor; readonly state: Tensor }): Tensor =>
  concat([output.reshape([-1]), state.reshape([-1])])

export const moduleRecords: readonly ModuleRecord[] = [
  of(
    'Linear',
    () => new Linear(3, 2),
    [numbers(2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'LayerNorm',
    () => new LayerNorm(3),
    [numbers(2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'RMSNorm',
    () => new RMSNorm(3),
    [numbers(2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'GroupNorm',
    () => new GroupNorm(2, 4),
    [numbers(2, 4, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'InstanceNorm1d',
    () => new InstanceNorm1d(2, { affine: true }),
    [numbers(2, 2, 4)],
    (m, x) => m.forward(x),
  ),
  of(
    'InstanceNorm2d',
    () => new InstanceNorm2d(2),
    [numbers(1, 2, 2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'InstanceNorm3d',
    () => new InstanceNorm3d(2),
    [numbers(1, 2, 1, 2, 2)],
    (m, x) => m.forward(x),
  ),
  of(
    'BatchNorm1d',
    () => new BatchNorm1d(3),
    [numbers(4, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'BatchNorm2d',
    () => new BatchNorm2d(2, { momentum: 'cumulative' }),
    [numbers(2, 2, 2, 2)],
    (m, x) => m.forward(x),
  ),
  of(
    'BatchNorm3d',
    () => new BatchNorm3d(2).eval(),
    [numbers(2, 2, 1, 2, 2)],
    (m, x) => m.forward(x),
  ),
  of(
    'Dropout2d',
    () => new Dropout2d(0.5).eval(),
    [numbers(2, 3)],
    (m, x) => m.forward(x).mul(x),
  ),
  of(
    'Embedding',
    () => new Embedding(4, 3),
    [ids([3, 0, 3])],
    (m, x) => m.forward(x),
  ),
  of(
    'Dropout',
    () => new Dropout(0.5).eval(),
    [numbers(2, 3)],
    (m, x) => m.forward(x).mul(x),
  ),
  of(
    'MLP',
    () => new MLP(3, 4),
    [numbers(2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'MultiHeadAttention',
    () => new MultiHeadAttention({ width: 4, heads: 2, memoryWidth: 3 }),
    [tokens, memory],
    (m, x, memory) => m.forward(x, { memory }),
  ),
  of(
    'TransformerBlock',
    () => new TransformerBlock({ ...block, memoryWidth: 3 }),
    [tokens, seen, memory],
    (m, x, mask, memory) => m.forward(x, { mask: mask.reshape([2, 1, 1, 3]), causal: true, memory }),
  ),
  of(
    'AttentionalPooler',
    () => new AttentionalPooler({ queries: 2, width: 4, heads: 2, memoryWidth: 3 }),
    [memory],
    (m, x) => m.forward(x),
  ),
  of(
    'LatentPooler',
    () => new LatentPooler(block),
    [tokens],
    (m, x) => m.forward(x),
  ),
  of(
    'Sequential',
    () => new Sequential(new Linear(3, 4), x => x.tanh(), new Linear(4, 2)),
    [numbers(2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'SwiGLU',
    () => new SwiGLU(3, 4),
    [numbers(2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'RNN',
    () => new RNN(2, 2, { bidirectional: true }),
    [numbers(2, 3, 2), numbers(2, 2, 2), ids([3, 1])],
    (m, x, state, lengths) => parts(m.forward(x, { state, lengths })),
  ),
  of(
    'GRU',
    () => new GRU(2, 2, { layers: 2 }),
    [numbers(2, 3, 2), numbers(2, 2, 2), ids([2, 3])],
    (m, x, state, lengths) => parts(m.forward(x, { state, lengths })),
  ),
  of(
    'LSTM',
    () => new LSTM(2, 2, { bidirectional: true }),
    [numbers(2, 3, 2), numbers(2, 2, 2), numbers(2, 2, 2), ids([3, 2])],
    (m, x, hidden, cell, lengths) => {
      const { output, state } = m.forward(x, { state: { hidden, cell }, lengths })
      return concat([parts({ output, state: state.hidden }), state.cell.reshape([-1])])
    },
  ),
  of(
    'RNNCell',
    () => new RNNCell(2, 3),
    [numbers(2, 2), numbers(2, 3)],
    (m, x, h) => m.forward(x, h),
  ),
  of(
    'GRUCell',
    () => new GRUCell(2, 3),
    [numbers(2, 2), numbers(2, 3)],
    (m, x, h) => m.forward(x, h),
  ),
  of(
    'LSTMCell',
    () => new LSTMCell(2, 3),
    [numbers(2, 2), numbers(2, 3), numbers(2, 3)],
    (m, x, hidden, cell) => {
      const after = m.forward(x, { hidden, cell })
      return concat([after.hidden, after.cell])
    },
  ),
  of(
    'PatchEmbedding',
    () => new PatchEmbedding({ imageSize: 4, patchSize: 2, width: 3, channels: 2 }),
    [numbers(2, 2, 4, 4)],
    (m, x) => m.forward(x),
  ),
  of(
    'Conv1d',
    () => new Conv1d(2, 3, 2, { padding: 'same' }),
    [numbers(2, 2, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'Conv2d',
    () => new Conv2d(2, 4, [2, 3], { stride: 2, padding: 1, groups: 2, paddingMode: 'circular' }),
    [numbers(2, 2, 3, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'Conv3d',
    () => new Conv3d(1, 2, 2, { dilation: [1, 2, 1], bias: false }),
    [numbers(1, 1, 2, 3, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'ConvTranspose1d',
    () => new ConvTranspose1d(2, 3, 2, { stride: 3, outputPadding: 2 }),
    [numbers(2, 2, 2)],
    (m, x) => m.forward(x),
  ),
  of(
    'ConvTranspose2d',
    () => new ConvTranspose2d(4, 2, 3, { stride: 2, padding: 1, groups: 2 }),
    [numbers(1, 4, 2, 2)],
    (m, x) => m.forward(x),
  ),
  of(
    'ConvTranspose3d',
    () => new ConvTranspose3d(1, 2, [1, 2, 2], { bias: false }),
    [numbers(1, 1, 2, 2, 1)],
    (m, x) => m.forward(x),
  ),
  of(
    'MaxPool2d',
    () => new MaxPool2d(2, { stride: 1 }),
    [numbers(1, 2, 3, 3)],
    (m, x) => m.forward(x),
  ),
  of(
    'AvgPool2d',
    () => new AvgPool2d([2, 1], { padding: [1, 0], countIncludePad: false }),
    [numbers(1, 2, 3, 3)],
    (m, x) => m.forward(x).mul(m.forward(x)),
  ),
  of(
    'AdaptiveAvgPool2d',
    () => new AdaptiveAvgPool2d(2),
    [numbers(1, 2, 3, 3)],
    (m, x) => m.forward(x).mul(m.forward(x)),
  ),
  of(
    'Upsample',
    () => new Upsample({ scale: [2, 1.5], mode: 'bilinear' }),
    [numbers(1, 2, 2, 2)],
    (m, x) => m.forward(x).mul(m.forward(x)),
  ),
  of(
    'Flatten',
    () => new Flatten(),
    [numbers(2, 2, 3)],
    (m, x) => m.forward(x).mul(m.forward(x)),
  ),
]

export const modelRecords: readonly ModuleRecord[] = [
  of(
    'VisionTransformer',
    () => new VisionTransformer(image),
    [pictures],
    (m, x) => m.forward(x),
  ),
  of(
    'UnimodalDecoder',
    () => new UnimodalDecoder(text),
    [texts],
    (m, x) => {
      const { tokens, summary } = m.forward(x)
      return concat([tokens, summary.unsqueeze(1)], 1)
    },
  ),
  of(
    'MultimodalDecoder',
    () => new MultimodalDecoder(text, 3),
    [tokens, memory],
    (m, x, memory) => m.forward(x, memory),
  ),
  of(
    'ClassificationHead',
    () => new ClassificationHead({ width: 4, heads: 2, classes: 3 }),
    [tokens],
    (m, x) => m.forward(x),
  ),
  of(
    'ImageClassifier',
    () => new ImageClassifier({ image, classes: 3 }),
    [pictures, ids([2, 0])],
    (m, x, y) => m.loss(x, y).total,
  ),
  of(
    'DualEncoder',
    () => new DualEncoder({ image, text, embedding: 3 }),
    [pictures, texts],
    (m, x, y) => m.loss(x, y).total,
  ),
  of(
    'Captioner',
    () => new Captioner({ image, text }),
    [pictures, texts],
    (m, x, y) => m.loss(x, y).total,
  ),
  of(
    'VideoHead',
    () => new VideoHead({ width: 4, heads: 2, classes: 3, frames: 2 }),
    [frames],
    (m, x) => m.forward(x),
  ),
  of(
    'VideoClassifier',
    () => new VideoClassifier({ image, classes: 3, frames: 2 }),
    [pairs, ids([2, 0])],
    (m, x, y) => m.loss(x, y).total,
  ),
  of(
    'MultimodalHead',
    () => new MultimodalHead({ width: 4, heads: 2, classes: 3, images: 2 }),
    [frames, seen],
    (m, x, mask) => m.forward(x, mask),
  ),
  of(
    'MultimodalClassifier',
    () =>
      new MultimodalClassifier({
        image,
        text,
        pooler: coca.pooler,
        images: 2,
        classes: 3,
        loss: { captioning: { weight: 0.5 } },
      }),
    [pairs, texts, ids([2, 0])],
    (m, x, words, y) => m.loss(x, words, y).total,
  ),
  of(
    'CoCa',
    () => new CoCa(coca),
    [pictures, texts],
    (m, x, y) => m.loss(x, y).total,
  ),
]

export const lossRecords: readonly LossRecord[] = [
  { name: 'classificationLoss', inputs: [numbers(2, 3), ids([2, 0])], f: (x, y) => classificationLoss(x, y) },
  {
    name: 'contrastiveLoss',
    inputs: [numbers(3, 4), numbers(3, 4), numbers(), ids([1, 2, 1])],
    f: (x, y, scale, groups) =>
      contrastiveLoss(x.normalize(), y.normalize(), scale.exp(), { reduction: 'mean', groups }),
  },
  {
    name: 'sigmoidContrastiveLoss',
    inputs: [numbers(3, 4), numbers(3, 4), numbers(), numbers(), ids([1, 2, 1])],
    f: (x, y, scale, bias, groups) =>
      sigmoidContrastiveLoss(x.normalize(), y.normalize(), scale.exp(), bias, { groups }),
  },
  {
    name: 'captioningLoss',
    inputs: [numbers(2, 3, 5), texts],
    f: (x, y) => captioningLoss(x, y, { reduction: 'sum', ignore: 0 }),
  },
  { name: 'mseLoss', inputs: [numbers(2, 3), numbers(2, 3)], f: (x, y) => mseLoss(x, y) },
  { name: 'l1Loss', inputs: [numbers(2, 3), numbers(2, 3)], f: (x, y) => l1Loss(x, y) },
  { name: 'huberLoss', inputs: [numbers(7), numbers(7)], f: (x, y) => huberLoss(x, y, { reduction: 'sum' }) },
  { name: 'smoothL1Loss', inputs: [numbers(7), numbers(7)], f: (x, y) => smoothL1Loss(x, y, { beta: 0.7 }) },
  {
    name: 'bceWithLogitsLoss',
    inputs: [numbers(2, 3), numbers(2, 3), numbers(3), numbers(3)],
    f: (x, y, weight, positiveWeight) => bceWithLogitsLoss(x, y.sigmoid(), { weight, positiveWeight }),
  },
  {
    name: 'focalLoss',
    inputs: [numbers(2, 3), numbers(2, 3)],
    f: (x, y) => focalLoss(x, y.sigmoid(), { gamma: 0.5, alpha: 0.25 }),
  },
  {
    name: 'nllLoss',
    inputs: [numbers(3, 4), ids([3, 0, 2]), numbers(4)],
    f: (x, y, weight) => nllLoss(x, y, { weight: weight.exp(), ignore: 0 }),
  },
  {
    name: 'klDivergenceLoss',
    inputs: [numbers(2, 3), numbers(2, 3)],
    f: (x, y) => klDivergenceLoss(x.logSoftmax(), y.logSoftmax()),
  },
  {
    name: 'cosineEmbeddingLoss',
    inputs: [numbers(4, 3), numbers(4, 3), flags([[true, false, true, false]]).reshape([4])],
    f: (x, y, together) => cosineEmbeddingLoss(x, y, together, { margin: -1 }),
  },
  {
    name: 'tripletLoss',
    inputs: [numbers(3, 4), numbers(3, 4), numbers(3, 4)],
    f: (x, y, z) => tripletLoss(x, y, z, { margin: 3, swap: true }),
  },
  {
    name: 'infoNceLoss',
    inputs: [numbers(2, 3), numbers(2, 3), numbers(2, 4, 3)],
    f: (x, y, negatives) => infoNceLoss(x, y, { negatives, temperature: 0.5 }),
  },
  { name: 'diceLoss', inputs: [numbers(2, 5), numbers(2, 5)], f: (x, y) => diceLoss(x.sigmoid(), y.sigmoid()) },
]
