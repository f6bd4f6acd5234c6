// The operations that are timed one by one, under the same names in every framework. `both ways` is the value and the
// gradients of all differentiable inputs, from a given gradient of the result.

export const operations = {
  'matmul 512': 'A B of two [512, 512]',
  'matmul 512, left gradient': 'G Bᵀ',
  'matmul 512, right gradient': 'Aᵀ G',
  'matmul 1024': 'A B of two [1024, 1024]',
  'matmul 1024, left gradient': 'G Bᵀ',
  'matmul 1024, right gradient': 'Aᵀ G',
  '48 products of 64': 'A B of two [48, 64, 64]',
  exp: 'of [4096, 256], a million numbers',
  'exp, both ways': '',
  gelu: 'the exact one, of [4096, 256]',
  'gelu, both ways': '',
  softmax: 'of the rows of [4096, 256]',
  'softmax, both ways': '',
  layerNorm: 'of the rows of [4096, 256], with weight and bias',
  'layerNorm, both ways': 'to the input, the weight and the bias',
  attention: 'causal, queries, keys and values [8, 4, 64, 64]',
  'attention, both ways': 'to queries, keys and values',
  'embedding gradient': 'of a table [8192, 384], from that of 256 of its rows',
  conv2d: '[8, 32, 32, 32] with 64 kernels of 3 × 3, padding 1',
  'conv2d, both ways': 'to the images, the kernels and the bias',
  maxPool2d: 'windows of 2 × 2 of [8, 64, 32, 32]',
  'maxPool2d, both ways': '',
  batchNorm: 'of [8, 64, 32, 32] by its own mean and variance, with weight and bias',
  'batchNorm, both ways': 'to the input, the weight and the bias',
  sort: 'of the rows of [1024, 1000]',
  topk: 'the 10 largest of each row of [1024, 1000]',
  adamw: 'one update of twenty [500, 500], five million parameters',
} as const

export type OperationName = keyof typeof operations

export const operationNames = Object.keys(operations) as OperationName[]

/** The operations that are also timed both ways. */
export type BothWaysName = 'exp' | 'gelu' | 'softmax' | 'layerNorm' | 'attention' | 'conv2d' | 'maxPool2d' | 'batchNorm'

/** The operations that are timed beside PyTorch only. */
const besidePyTorch: readonly OperationName[] = [
  'conv2d',
  'conv2d, both ways',
  'maxPool2d',
  'maxPool2d, both ways',
  'batchNorm',
  'batchNorm, both ways',
  'sort',
  'topk',
]

/** The operations that every framework is timed for. */
export const commonNames = operationNames.filter(name => !besidePyTorch.includes(name))

/** The median of some runs of each operation, in milliseconds. */
export type Timings = Record<OperationName, number>
