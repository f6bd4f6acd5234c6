// What the open views of a model show: the attention of its poolers and its decoder, its embeddings in a plane, and any value or gradient
// of its modules.

import {
  captureAttention,
  fromData,
  isFloating,
  noGrad,
  onForward,
  type Parameter,
  scope,
  Tape,
  Tensor,
  type TypedArray,
} from 'cocagrad'
import { COLOURS, SHAPES } from 'cocagrad/data'
import { matcherOf } from './paths.ts'
import { Plane } from './plane.ts'
import type {
  AttentionView,
  AttentionWeights,
  MapView,
  ValuePicture,
  ValuesQuery,
  ValuesView,
  View,
  Watched,
} from './protocol.ts'
import type { Subject } from './trainer.ts'

/** The most tensors that are shown at once. */
const SHOWN = 8
/** The most rows and columns of a picture of values. */
const [ROWS, COLUMNS] = [96, 192]

/** The views of one model, one after the other: the plane of the map goes on from the last one. */
export class Views {
  readonly #plane = new Plane()

  async *of(subject: Subject, { attention, map, values }: Watched): AsyncGenerator<View> {
    // an imported model may have no pooler
    if (attention && subject.model.generativePooler) yield await attentionOf(subject, attention)
    if (map) yield await this.#mapOf(subject)
    if (values) yield await valuesOf(subject, values)
  }

  async #mapOf({ model, step, measured, imagesOf, idsOf }: Subject): Promise<MapView> {
    const [images, texts] = await scope(async () => {
      const [images, texts] = noGrad(() => [
        model.encodeImage(imagesOf(measured)),
        model.encodeText(idsOf(measured.map(({ caption }) => caption))),
      ])
      return Promise.all([images.data(), texts.data()])
    }, 'a map of the playground')
    const count = measured.length
    const width = images.length / count
    const all = new Float32Array(2 * count * width)
    all.set(images)
    all.set(texts, count * width)
    const { points, share } = this.#plane.of(all, width)
    let [own, others] = [0, 0]
    for (let i = 0; i < count; i++)
      for (let j = 0; j < count; j++) {
        let cosine = 0
        for (let k = 0; k < width; k++) cosine += images[i * width + k] * texts[j * width + k]
        if (i === j) own += cosine / count
        else others += cosine / (count * (count - 1))
      }
    const pairs = measured.map(({ caption }) => {
      const words = caption.split(' ')
      const first = (names: readonly string[]) => words.find(word => names.includes(word)) ?? ''
      return { caption, colour: first(COLOURS), shape: first(SHAPES) }
    })
    const [pictures, captions] = [points.slice(0, 2 * count), points.slice(2 * count)]
    return { kind: 'map', step, pictures, captions, pairs, share, own, others }
  }
}

async function attentionOf({ model, step, imagesOf, write }: Subject, pixels: Uint8Array): Promise<AttentionView> {
  const { ids, words } = await write(pixels)
  const [rows, columns] = model.encoder.patches.grid
  const patches = rows * columns
  const { arrangement } = model.settings.pooler
  const isOverPatches = (path: string) =>
    path.startsWith('generativePooler') || (path.startsWith('contrastivePooler') && arrangement === 'parallel')
  return scope(async () => {
    const before = fromData(Int32Array.from(ids.slice(0, -1)), [1, ids.length - 1])
    const { weights } = captureAttention(model, () => noGrad(() => model.forward(imagesOf([{ pixels }]), before)))
    const read = async (path: string): Promise<AttentionWeights | undefined> => {
      const found = weights.get(path)?.[0]
      if (!found) return undefined
      const ofPatches = isOverPatches(path) && found.shape[3] > patches ? withoutClass(found) : found
      const [, heads, queries, keys] = ofPatches.shape
      return { path, heads, queries, keys, weights: Float32Array.from(await ofPatches.data()) }
    }
    const decoder = await Promise.all(
      model.multimodal.blocks.map((_, i) => read(`multimodal.blocks.${i}.crossAttention`)),
    )
    return {
      kind: 'attention',
      step,
      grid: [rows, columns],
      generative: (await read('generativePooler.attention'))!,
      contrastive: await read('contrastivePooler.attention'),
      contrastiveOver: arrangement === 'cascade' ? 'tokens' : 'patches',
      words,
      decoder: decoder.filter(each => each !== undefined),
    }
  }, 'attention of the playground')
}

/** Weights over a class token and the patches, as weights over the patches alone, with sum 1. */
function withoutClass(weights: Tensor): Tensor {
  const ofPatches = weights.slice([{}, {}, {}, { start: 1 }])
  return ofPatches.div(ofPatches.sum({ axis: -1, keepDims: true }).maximum(1e-30))
}

/** A tensor with a name, and whether its first axis is that of the pictures. */
interface Named {
  readonly path: string
  readonly value: Tensor
  readonly isOfPictures: boolean
}

async function valuesOf({ model, step, shown, imagesOf, idsOf }: Subject, query: ValuesQuery): Promise<ValuesView> {
  const { quantity } = query
  const matches = matcherOf(query.query)
  const modules = [...model.namedModules()]
  const parameters = [...model.namedParameters()]
  const isOutput = quantity === 'output' || quantity === 'outputGradient'
  const paths = isOutput ? modules.flatMap(([path]) => path || []) : parameters.map(([path]) => path)
  const chosenModules = modules.filter(([path]) => matches(path))
  // a parameter is named by its own path or by that of a module around it
  const inside = (path: string) => chosenModules.some(([module]) => module !== '' && path.startsWith(`${module}.`))
  const chosenParameters = parameters.filter(([path]) => matches(path) || inside(path))
  const count = isOutput ? chosenModules.length : chosenParameters.length
  const rest = { kind: 'values', step, query, paths, matches: count } as const
  if (quantity === 'parameter') {
    const named = chosenParameters.slice(0, SHOWN).map(([path, value]) => ({ path, value, isOfPictures: false }))
    return { ...rest, shown: await pictured(named, query) }
  }
  return scope(async () => {
    const outputs: Named[] = []
    const tape = new Tape()
    for (const [path, parameter] of parameters) tape.watch(parameter, path)
    const removers = chosenModules
      .slice(0, isOutput ? SHOWN : 0)
      .flatMap(([path, module]) =>
        'forward' in module
          ? [onForward(module as never, (_: unknown, output: unknown) => void outputs.push(...tensorsIn(path, output)))]
          : [],
      )
    try {
      const loss = tape.run(() => model.loss(imagesOf(shown), idsOf(shown.map(({ caption }) => caption))))
      const values = outputs.slice(0, SHOWN)
      if (quantity === 'output') return { ...rest, shown: await pictured(values, query) }
      const asked: readonly (readonly [string, Tensor | Parameter, boolean])[] = isOutput
        ? values.map(({ path, value, isOfPictures }) => [path, value, isOfPictures])
        : chosenParameters.slice(0, SHOWN).map(([path, value]) => [path, value, false])
      const known = asked.filter(([, value]) => isFloating(value.dtype) && tape.tracks(value))
      const gradients = tape.partials(
        loss.total,
        known.map(([, value]) => value),
      )
      const named = known.flatMap(([path, , isOfPictures], i) => {
        const value = gradients[i]
        return value ? [{ path, value, isOfPictures }] : []
      })
      return { ...rest, shown: await pictured(named, query) }
    } finally {
      for (const remove of removers) remove()
      tape.end()
    }
  }, 'values of the playground')
}

/** The tensors of an output, which may be an object of several. */
function tensorsIn(path: string, output: unknown): Named[] {
  if (output instanceof Tensor) return [{ path: path || 'the model', value: output, isOfPictures: true }]
  if (typeof output !== 'object' || output === null) return []
  return Object.entries(output).flatMap(([name, value]) =>
    value instanceof Tensor ? [{ path: `${path || 'the model'} → ${name}`, value, isOfPictures: true }] : [],
  )
}

const pictured = (named: readonly Named[], query: ValuesQuery) =>
  Promise.all(named.map(async each => pictureOf(each, await each.value.data(), query.picture)))

function pictureOf({ path, value, isOfPictures }: Named, data: TypedArray, picture: number): ValuePicture {
  const { shape } = value
  let [min, max, sum, zeros, notFinite] = [Infinity, -Infinity, 0, 0, 0]
  for (const x of data) {
    if (!Number.isFinite(x)) {
      notFinite++
      continue
    }
    if (x < min) min = x
    if (x > max) max = x
    if (x === 0) zeros++
    sum += x
  }
  const finite = data.length - notFinite
  // of an output for several pictures, the part of one
  const own = isOfPictures && shape.length > 1 ? shape.slice(1) : shape
  const size = own.reduce((a, b) => a * b, 1)
  const part = size < data.length ? data.subarray(picture * size, (picture + 1) * size) : data
  const width = own.at(-1) ?? 1
  const height = width === 0 ? 0 : size / width
  const together = [Math.max(1, Math.ceil(height / ROWS)), Math.max(1, Math.ceil(width / COLUMNS))] as const
  const [rows, columns] = [Math.ceil(height / together[0]), Math.ceil(width / together[1])]
  const cells = new Float32Array(rows * columns)
  part.forEach((x, i) => {
    const cell = Math.floor(Math.floor(i / width) / together[0]) * columns + Math.floor((i % width) / together[1])
    if (!(Math.abs(x) <= Math.abs(cells[cell]))) cells[cell] = x
  })
  return {
    ...{ path, shape, rows, columns, cells, together },
    ...{ min: finite ? min : 0, max: finite ? max : 0, mean: finite ? sum / finite : 0 },
    ...{ zeros: zeros / Math.max(1, data.length), notFinite: notFinite / Math.max(1, data.length) },
  }
}
