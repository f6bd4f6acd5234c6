// Suggests a known name for an unknown one: by the names in other libraries, or by the closest spelling.

/** Synonyms: the name here, in PyTorch, NumPy, JAX, TensorFlow.js and Hugging Face. Compared without case and underscores. */
const sameThing: readonly (readonly string[])[] = [
  ['axis', 'dim', 'dims', 'axes', 'dimension'],
  ['keepDims', 'keepdim'],
  ['epsilon', 'eps'],
  ['learningRate', 'lr', 'rate', 'stepSize'],
  ['peak', 'maxLr', 'maxLearningRate', 'learningRate', 'lr'],
  ['end', 'minLr', 'etaMin', 'finalLr', 'endValue'],
  ['total', 'totalSteps', 'steps', 'tMax', 'decaySteps'],
  ['warmup', 'warmupSteps', 'numWarmupSteps'],
  ['weightDecay', 'decay', 'wd', 'l2'],
  ['momentum', 'mu'],
  ['betas', 'beta'],
  ['groups', 'paramGroups', 'params'],
  ['learningRateFactor', 'lrScale', 'lrFactor', 'learningRate', 'lr'],
  ['relativeStep', 'scaleParameter'],
  ['rate', 'p', 'dropout', 'dropoutRate', 'probability'],
  ['dropout', 'p', 'rate', 'dropoutRate', 'pDropout', 'attnDropout'],
  ['heads', 'numHeads', 'nHeads', 'nHead', 'headCount'],
  ['queries', 'numQueries', 'nQueries', 'seeds'],
  ['layers', 'numLayers', 'nLayers', 'nLayer', 'depth'],
  ['width', 'dim', 'dModel', 'embedDim', 'hiddenSize', 'nEmbd', 'features', 'inFeatures', 'modelDim', 'embeddingDim'],
  ['hidden', 'dimFeedforward', 'dFf', 'mlpDim', 'ffnDim', 'intermediateSize', 'hiddenDim', 'hiddenWidth'],
  ['embedding', 'embedDim', 'projectionDim', 'outputDim'],
  ['memoryWidth', 'kdim', 'vdim', 'contextDim'],
  ['imageSize', 'size', 'imgSize'],
  ['size', 'imageSize', 'imgSize', 'resolution'],
  ['patchSize', 'patch'],
  ['patch', 'patchSize'],
  ['channels', 'inChannels', 'inChans'],
  ['classes', 'numClasses', 'nClasses', 'labels', 'numLabels'],
  ['vocabulary', 'vocabSize', 'vocab', 'numEmbeddings'],
  ['context', 'contextLength', 'maxLength', 'blockSize', 'seqLen', 'maxLen', 'nPositions'],
  ['pad', 'padId', 'paddingIdx', 'padTokenId'],
  ['start', 'startId', 'bos', 'bosTokenId', 'sos', 'begin', 'from'],
  ['end', 'endId', 'eos', 'eosTokenId'],
  ['stop', 'end', 'to'],
  ['step', 'stride', 'steps'],
  ['kernel', 'kernelSize', 'poolSize', 'filterSize', 'windowShape'],
  ['stride', 'strides', 'step'],
  ['padding', 'pad', 'pads'],
  ['dilation', 'dilations', 'dilationRate', 'rhsDilation'],
  ['groups', 'featureGroupCount', 'numGroups'],
  ['scale', 'scaleFactor', 'factor'],
  ['size', 'outputSize'],
  ['bilinear', 'linear', 'trilinear'],
  ['replicate', 'edge', 'nearest'],
  ['reflect', 'mirror', 'reflection'],
  ['reflection', 'mirror', 'reflect'],
  ['circular', 'wrap'],
  ['temperature', 'tau'],
  ['bias', 'useBias'],
  ['bias', 'shift', 'beta', 'offset'],
  ['weight', 'scale', 'gamma', 'w'],
  ['init', 'initializer', 'kernelInitializer', 'weightInit'],
  ['activation', 'act', 'nonlinearity', 'hiddenAct'],
  ['mask', 'attnMask', 'attentionMask'],
  ['causal', 'isCausal'],
  ['ignore', 'ignoreIndex', 'padId', 'pad', 'paddingIdx'],
  ['smoothing', 'labelSmoothing'],
  ['reduction', 'reduce', 'reductionMode'],
  ['order', 'p', 'ord'],
  ['correction', 'ddof', 'unbiased'],
  ['min', 'aMin', 'minimum', 'low', 'clipValueMin', 'minValue'],
  ['max', 'aMax', 'maximum', 'high', 'clipValueMax', 'maxValue'],
  ['low', 'min', 'minval', 'minimum', 'from'],
  ['high', 'max', 'maxval', 'maximum', 'to'],
  ['wrt', 'argnums', 'argnum', 'argument'],
  ['generator', 'rng', 'seed', 'key', 'random'],
  ['maximumLength', 'maxLength', 'maxTokens', 'maxNewTokens', 'length', 'maxLen'],
  ['minimumLength', 'minLength', 'minTokens', 'minNewTokens'],
  ['beams', 'numBeams', 'beamSize', 'beamWidth'],
  ['groups', 'numBeamGroups', 'beamGroups'],
  ['diversity', 'diversityPenalty'],
  ['sample', 'doSample', 'sampling'],
  ['topK', 'k'],
  ['topP', 'p', 'nucleus'],
  ['prompts', 'prompt', 'inputIds'],
  ['cache', 'useCache'],
  ['dtype', 'type', 'dataType'],
  ['shape', 'size', 'sizes', 'dims'],
  ['threads', 'numThreads'],
  ['batchSize', 'batch'],
  ['numRuns', 'runs', 'samples'],
  ['mean', 'avg', 'average'],
  ['silu', 'swish'],
  ['gelu', 'geluNew', 'geluExact'],
  ['tanh', 'true'],
  ['none', 'null', 'false'],
  ['float32', 'float', 'f32', 'single', 'number', 'float16', 'half', 'bfloat16', 'f16', 'bf16'],
  ['float64', 'double', 'f64'],
  ['int32', 'int', 'i32', 'long', 'int64', 'int16', 'int8', 'short', 'uint8', 'uint32', 'integer', 'i64', 'u8'],
  ['bool', 'boolean'],
  ['gpu', 'cuda', 'webgpu', 'webgl', 'mps', 'metal'],
  ['cpu', 'wasm', 'host'],
]

const plainly = (name: string): string => name.replaceAll(/[_-]/g, '').toLowerCase()

const synonyms = sameThing.map(names => names.map(plainly))

/** Number of insertions, deletions, replacements and exchanges of neighbours between two words (Damerau 1964). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    rows.push([i])
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      const steps = [rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (isSame ? 0 : 1)]
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) steps.push(rows[i - 2][j - 2] + 1)
      rows[i].push(Math.min(...steps))
    }
  }
  return rows[a.length][b.length]
}

/** The known name that is most similar, or undefined if none is near: at most a third of the letters may differ. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const word = plainly(name)
  const exact = known.find(each => plainly(each) === word)
  if (exact !== undefined) return exact
  for (const names of synonyms)
    if (names.includes(word)) {
      const synonym = names.map(same => known.find(each => plainly(each) === same)).find(each => each !== undefined)
      if (synonym !== undefined) return synonym
    }
  const [best] = known
    .map(each => ({ each, distance: editDistance(word, plainly(each)) }))
    .sort((a, b) => a.distance - b.distance)
  return best && best.distance <= Math.max(1, Math.floor(best.each.length / 3)) ? best.each : undefined
}
