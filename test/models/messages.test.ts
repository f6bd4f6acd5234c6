// Error messages for invalid configurations of models and invalid arguments.

import { describe } from 'node:test'
import * as library from '../../src/index.ts'
import '../reference.ts'
import { loose, refuse } from '../loose.ts'
import { small } from './small.ts'

const { Captioner, ClassificationHead, CoCa, DualEncoder, ImageClassifier, MultimodalDecoder, ones } = loose(library)
const { openClipTensors, presets, tensor, toOpenClipConfig, toOpenClipState, UnimodalDecoder, VisionTransformer } =
  loose(library)

const { image, text, pooler } = small
const model = new CoCa(small)
const images = ones([1, 3, image.size, image.size])
const ids = tensor([[1, 2]], { dtype: 'int32' })

describe('a configuration', () => {
  refuse([
    [
      'new CoCa({ image: { pach: 8 } })',
      () => new CoCa({ ...small, image: { ...image, pach: 8 } }),
      'OptionsError',
      'CoCa: there is no option image.pach, which was 8',
      'write new CoCa({ image: { patch: 8 } })',
    ],
    [
      'an unknown name in the text',
      () => new CoCa({ ...small, text: { ...text, vocab_size: 8 } }),
      'OptionsError',
      'text.vocab_size',
      'write new CoCa({ text: { vocabulary: 8 } })',
    ],
    [
      'an unknown name in the multimodal half',
      () => new CoCa({ ...small, text: { ...text, multimodal: { n_heads: 2 } } }),
      'OptionsError',
      'text.multimodal.n_heads',
      'new CoCa({ text: { multimodal: { heads: 2 } } })',
    ],
    [
      'an unknown name in the pooler',
      () => new CoCa({ ...small, pooler: { ...pooler, seeds: 2 } }),
      'OptionsError',
      'pooler.seeds',
      '{ pooler: { queries: 2 } }',
    ],
    [
      'an unknown name in a loss',
      () => new CoCa({ ...small, loss: { captioning: { wieght: 2 } } }),
      'OptionsError',
      'loss.captioning.wieght',
      '{ loss: { captioning: { weight: 2 } } }',
    ],
    [
      'an unknown loss',
      () => new CoCa({ ...small, loss: { caption: {} } }),
      'OptionsError',
      'loss.caption',
      '{ loss: { captioning: {} } }',
    ],
    [
      'an unknown reduction',
      () => new CoCa({ ...small, loss: { contrastive: { reduction: 'avg' } } }),
      'OptionsError',
      "must be 'mean' or 'sum', not 'avg'",
    ],
    [
      'an unknown temperature',
      () => new CoCa({ ...small, temperature: { start: 0.1 } }),
      'OptionsError',
      'temperature.start',
    ],
    [
      'an unknown arrangement',
      () => new CoCa({ ...small, pooler: { ...pooler, arrangement: 'serial' } }),
      'OptionsError',
      "pooler.arrangement must be 'cascade', 'parallel', 'shared' or 'none', not 'serial'",
    ],
    [
      'an unknown padMask',
      () => new CoCa({ ...small, text: { ...text, padMask: 'all' } }),
      'OptionsError',
      "text.padMask must be 'both', 'unimodal', 'unimodalLate' or 'none', not 'all'",
    ],
    [
      'an unknown activation',
      () => new CoCa({ ...small, activation: 'swish' }),
      'OptionsError',
      "new CoCa({ activation: 'silu' })",
    ],
    [
      'a word for a number',
      () => new CoCa({ ...small, image: { ...image, width: '8' } }),
      'OptionsError',
      "image.width must be a whole number above 0, not '8'; write new CoCa({ image: { width: 8 } })",
    ],
    [
      'a configuration without text',
      () => new CoCa({ ...small, text: undefined }),
      'OptionsError',
      'CoCa: text is missing: it must be an object of options',
    ],
    ['a preset that does not exist', () => new CoCa(presets.tyni), 'OptionsError', 'CoCa: image is missing'],
    ["new CoCa('tiny')", () => new CoCa('tiny'), 'OptionsError', "CoCa: config must be an object, not 'tiny'"],
    [
      'new VisionTransformer({ image_size: 8, … })',
      () => new VisionTransformer({ ...image, image_size: 8 }),
      'OptionsError',
      'write new VisionTransformer({ size: 8 })',
    ],
    [
      'new VisionTransformer(config, { p: 0.1 })',
      () => new VisionTransformer(image, { p: 0.1 }),
      'OptionsError',
      'write new VisionTransformer(config, { dropout: 0.1 })',
    ],
    [
      'new UnimodalDecoder({ … })',
      () => new UnimodalDecoder({ ...text, padding_idx: 0 }),
      'OptionsError',
      'write new UnimodalDecoder({ pad: 0 })',
    ],
    [
      'new MultimodalDecoder(config)',
      () => new MultimodalDecoder(text),
      'ArgumentError',
      'MultimodalDecoder: memoryWidth is missing',
    ],
    [
      'new DualEncoder({ … })',
      () => new DualEncoder({ image, text, embedding: 8, temperature: 1 }),
      'OptionsError',
      'DualEncoder: temperature must be an object of options, not 1',
    ],
    [
      'new Captioner({ … })',
      () => new Captioner({ image, text, pooler }),
      'OptionsError',
      'Captioner: there is no option pooler',
    ],
    [
      'new ImageClassifier({ image, num_classes: 3 })',
      () => new ImageClassifier({ image, num_classes: 3 }),
      'OptionsError',
      'write new ImageClassifier({ classes: 3 })',
    ],
    [
      'new ClassificationHead({ width: 8, heads: 2 })',
      () => new ClassificationHead({ width: 8, heads: 2 }),
      'OptionsError',
      'classes is missing',
    ],
  ])
})

describe('OpenCLIP', () => {
  refuse([
    [
      'openClipTensors(config)',
      () => openClipTensors(small),
      'ArgumentError',
      'openClipTensors: model must be a CoCa or a DualEncoder, not { image',
    ],
    [
      'toOpenClipConfig(model)',
      () => toOpenClipConfig(model),
      'OptionsError',
      'toOpenClipConfig: config must be an object, not a CoCa',
    ],
    ['toOpenClipState()', () => toOpenClipState(), 'ArgumentError', 'toOpenClipState: model is missing'],
  ])
})

describe('a question', () => {
  refuse([
    ['model.encodeImage([1])', () => model.encodeImage([1]), 'ArgumentError', 'images must be a tensor, not [1]'],
    [
      'model.encodeText([1, 2])',
      () => model.encodeText([1, 2]),
      'ArgumentError',
      'ids must be an int32 tensor, not [1, 2]',
      "tensor([1, 2], { dtype: 'int32' })",
    ],
    [
      'ids as floats',
      () => model.encodeText(ones([1, 2])),
      'ShapeError',
      'token ids are int32 [batch, tokens], not float32 [1, 2]',
    ],
    [
      'an id beyond the vocabulary',
      () => model.encodeText(tensor([[99]], { dtype: 'int32' })),
      'IndexError',
      'embedding: index 99 is outside of 0 …',
    ],
    [
      'model.loss(images, ids, positives)',
      () => model.loss(images, ids, ids),
      'OptionsError',
      'loss: options must be an object, not a tensor [1, 2] int32',
      'write model.loss(images, ids, { groups: … })',
    ],
    [
      'model.loss(images, ids, { labels })',
      () => model.loss(images, ids, { labels: ids }),
      'OptionsError',
      'loss: there is no option labels',
      'the only option is groups',
    ],
    [
      'model.imageFeatures(images, f)',
      () => model.imageFeatures(images, () => {}),
      'OptionsError',
      'onWeights must be an object, not a function',
    ],
    [
      'model.generate(images)',
      () => model.generate(images),
      'OptionsError',
      'generate: start is missing: it must be a number; write model.generate(images, { start: … })',
    ],
    [
      'model.generate(images, 1)',
      () => model.generate(images, 1),
      'OptionsError',
      'write model.generate(images, { start: 1 })',
    ],
    [
      'model.generate(images, { bos: 1 })',
      () => model.generate(images, { bos: 1 }),
      'OptionsError',
      'write model.generate(images, { start: 1 })',
    ],
    [
      'model.generate(images, { …, num_beams: 3 })',
      () => model.generate(images, { start: 1, num_beams: 3 }),
      'OptionsError',
      'write model.generate(images, { beams: 3 })',
    ],
    [
      'model.generate(images, { …, max_length: 3 })',
      () => model.generate(images, { start: 1, max_length: 3 }),
      'OptionsError',
      '{ maximumLength: 3 }',
    ],
    [
      'model.generate(images, { …, prompts: [1] })',
      () => model.generate(images, { start: 1, prompts: [1] }),
      'OptionsError',
      'prompts must be a list with a list of ids for each image, not [1]',
    ],
    [
      'model.stream(image, 1)',
      () => model.stream(images, 1).next(),
      'OptionsError',
      'write model.stream(image, { start: 1 })',
    ],
    [
      'model.generate([1], …)',
      () => model.generate([1], { start: 1 }),
      'ArgumentError',
      'generate: images must be a tensor, not [1]',
    ],
  ])
})
