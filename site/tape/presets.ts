// The functions that the page offers.

export interface Preset {
  readonly name: string
  readonly code: string
}

export const presets: readonly Preset[] = [
  {
    name: 'x²',
    code: `// Name the inputs, and give a function of them.
walk({ x: tensor([1, 2, 3]) }, ({ x }) => {
  return x.square().sum()
})
`,
  },
  {
    name: 'Softmax and cross-entropy',
    code: `const classes = tensor([[0], [2], [1]], { dtype: 'int32' })

walk({ logits: randn([3, 4]) }, ({ logits }) => {
  // the largest logit is taken away, so that no exponential overflows
  const largest = logits.max({ axis: 1, keepDims: true })
  const shifted = logits.sub(largest.stopGradient())
  const total = shifted.exp().sum({ axis: 1, keepDims: true })
  const logProbabilities = shifted.sub(total.log())
  return logProbabilities.gather(classes, { axis: 1 }).mean().neg()
})
`,
  },
  {
    name: 'Layer norm',
    code: `const weights = randn([2, 4])

walk(
  { x: randn([2, 4]), scale: ones([4]), shift: zeros([4]) },
  ({ x, scale, shift }) => {
    const centred = x.sub(x.mean({ axis: -1, keepDims: true }))
    const variance = centred.square().mean({ axis: -1, keepDims: true })
    const normal = centred.mul(variance.add(1e-5).rsqrt())
    return normal.mul(scale).add(shift).mul(weights).sum()
  },
)
`,
  },
  {
    name: 'Attention',
    code: `const weights = randn([3, 2])

walk(
  { q: randn([3, 2]), k: randn([4, 2]), v: randn([4, 2]) },
  ({ q, k, v }) => {
    const scores = q.matmul(k.transpose()).div(Math.sqrt(2))
    const attention = scores.softmax({ axis: -1 })
    return attention.matmul(v).mul(weights).sum()
  },
)
`,
  },
  {
    name: 'A network of two layers',
    code: `const x = randn([5, 3])
const wanted = randn([5, 1])

walk(
  { w1: randn([3, 4]), b1: zeros([4]), w2: randn([4, 1]), b2: zeros([1]) },
  ({ w1, b1, w2, b2 }) => {
    const hidden = x.matmul(w1).add(b1).gelu()
    const y = hidden.matmul(w2).add(b2)
    return y.sub(wanted).square().mean()
  },
)
`,
  },
  {
    name: "CoCa's contrastive loss",
    code: `const pairs = tensor([0, 1, 2], { dtype: 'int32' })

walk(
  { image: randn([3, 4]), text: randn([3, 4]), logScale: tensor(2.66) },
  ({ image, text, logScale }) => {
    const a = image.normalize({ axis: -1 })
    const b = text.normalize({ axis: -1 })
    // row i: image i beside every text
    const logits = a.matmul(b.transpose()).mul(logScale.exp())
    const toText = logits.crossEntropy(pairs)
    const toImage = logits.transpose().crossEntropy(pairs)
    return toText.add(toImage).div(2)
  },
)
`,
  },
]
