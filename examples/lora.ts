// Low-rank adaptation (Hu et al. 2021): a CoCa that captions pictures learns another word for a colour. Its weights stay as they are, and
// small matrices beside some of them are trained, which can be saved alone or added to the weights.

import { AdamW, CoCa, lora, loraState, mergeLora, presets, seed, type Tensor, tensor } from 'cocagrad'
import { shapesExample, WordTokenizer } from 'cocagrad/data'

const examples = Array.from({ length: 24 }, (_, i) => shapesExample(i, { objects: 1 }))
const captions = examples.map(({ caption }) => caption)
const newCaptions = captions.map(caption => caption.replace('pink', 'magenta'))
const tokenizer = WordTokenizer.fromCaptions([...captions, ...newCaptions])
const pixels = tensor(examples.map(({ pixels }) => Array.from(pixels, byte => byte / 127.5 - 1)))
const images = pixels.unflatten(1, [32, 32, 3]).moveAxis(-1, 1)
const { context } = presets.tiny.text
const idsOf = (texts: readonly string[]) =>
  tensor(tokenizer.tokenize(texts, context), { dtype: 'int32' }).unflatten(0, [-1, context])

seed(0)
const model = new CoCa(presets.tiny)

async function train(ids: Tensor, steps: number, learningRate: number) {
  const optimizer = new AdamW(model, { learningRate })
  for (let step = 0; step <= steps; step++) {
    const { total } = optimizer.minimize(() => model.loss(images, ids), { maximumNorm: 1 })
    if (step % 20 === 0) console.log(`step ${step}: loss ${(await total.item()).toFixed(3)}`)
  }
}

async function write(when: string) {
  const { start, end } = tokenizer
  const texts = (await model.generate(images, { start, end })).map(({ ids }) => tokenizer.decode(ids))
  const right = (expected: readonly string[]) => texts.filter((text, i) => text === expected[i]).length
  const pink = captions.findIndex(caption => caption.includes('pink'))
  console.log(`${when}: "${texts[pink]}"; ${right(captions)} old captions and ${right(newCaptions)} new ones of 24`)
}

await train(idsOf(captions), 80, 3e-3)
await write('before')
const weights = [...model.stateDict().values()]
const old = await Promise.all(weights.map(weight => weight.data()))

lora(model, { rank: 4 })
const adapters = [...loraState(model).values()].reduce((count, { size }) => count + size, 0)
console.log(`${adapters} of ${model.parameterCount()} parameters are trained, ${4 * adapters} bytes`)
await train(idsOf(newCaptions), 40, 5e-3)
await write('after')
const bytes = ({ buffer }: { readonly buffer: ArrayBufferLike }) => Buffer.from(buffer)
const now = await Promise.all(weights.map(weight => weight.data()))
const unchanged = now.filter((values, i) => bytes(values).equals(bytes(old[i]))).length
console.log(`${unchanged} of ${old.length} weights are the same to the bit`)

const logits = model.logits(images, idsOf(newCaptions))
mergeLora(model)
const change = model.logits(images, idsOf(newCaptions)).sub(logits).abs().max().div(logits.abs().max())
console.log(`added to the weights, they change the logits by ${(await change.item()).toExponential(1)} of the largest`)
await write('merged')
