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
  adamw: 'one update of twenty [500, 500], five million parameters',
} as const

export type OperationName = keyof typeof operations

export const operationNames = Object.keys(operations) as OperationName[]

/** The operations that are also timed both ways. */
export type BothWaysName = 'exp' | 'gelu' | 'softmax' | 'layerNorm' | 'attention'

/** The median of some runs of each operation, in milliseconds. */
export type Timings = Record<OperationName, number>
