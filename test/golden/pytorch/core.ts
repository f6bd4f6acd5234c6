// The functions of core.py, here.

import { attention, crossEntropy, layerNorm } from '../../../src/autograd/index.ts'
import { contrastiveLoss } from '../../../src/nn/index.ts'
import type { Functions } from './functions.ts'

export const core: Functions = {
  softmax: x => x.softmax(),
  'softmax of the first axis': x => x.softmax({ axis: 0 }),
  logSoftmax: x => x.logSoftmax(),
  layerNorm: (x, weight, bias) => layerNorm(x, { weight, bias }),
  attention: (q, k, v) => attention(q, k, v),
  'causal attention': (q, k, v) => attention(q, k, v, { causal: true }),
  'self-attention': x => attention(x, x, x),
  'gelu of PyTorch': x => x.gelu(),
  geluTanh: x => x.gelu({ approximate: 'tanh' }),
  crossEntropy: (x, ids) => crossEntropy(x, ids),
  'crossEntropy, smoothed': (x, ids) => crossEntropy(x, ids, { smoothing: 0.1 }),
  'crossEntropy, ignoring': (x, ids) => crossEntropy(x, ids, { ignore: 0 }),
  contrastiveLoss: (image, text, logScale) =>
    contrastiveLoss(image.normalize(), text.normalize(), logScale.exp(), { reduction: 'mean' }),
  exp: x => x.exp(),
  tanh: x => x.tanh(),
  sigmoid: x => x.sigmoid(),
  erf: x => x.erf(),
  softplus: x => x.softplus(),
  silu: x => x.silu(),
  gelu: x => x.gelu(),
  'x exp x': x => x.mul(x.exp()),
  'x tanh x': x => x.mul(x.tanh()),
}
