// Examines the training and the held-out images of a run: images that occur twice, captions that belong to several images, captions
// that the model cannot read, and classes with few images.

import { createHash } from 'node:crypto'
import {
  type ExampleSource,
  examplePixels,
  type ImageTextSource,
  type MultiImageSource,
  type Tokenizer,
} from '../data/index.ts'
import { hasTexts } from '../models/config.ts'
import type { CoCaConfig } from '../models/index.ts'
import type { RunConfig } from '../train/index.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'

const finding = findingsOf('data')

/** One class may have this many times as many images as another. */
const UNEQUAL = 10

/** If more than this share of the data has a problem, most findings are suspect, otherwise notes. */
const MANY = 0.01

export interface DataExamination {
  readonly train: ImageTextSource | MultiImageSource
  readonly validation?: ImageTextSource | MultiImageSource
  /** of a run with texts */
  readonly tokenizer?: Tokenizer
  /** of a classifier */
  readonly classes?: readonly string[]
  readonly config: RunConfig
  /** whether the checkpoint was trained on other data */
  readonly isChanged?: boolean
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

export async function examineData(data: DataExamination): Promise<DoctorFinding[]> {
  const { train, validation, isChanged } = data
  return [
    ...(isChanged ? [changed()] : []),
    ...(await equalImages(data)),
    ...equalCaptions(data),
    ...captionsOf(data, train, 'training'),
    ...(validation ? captionsOf(data, validation, 'held-out') : []),
    ...classesOf(data),
  ]
}

const changed = (): DoctorFinding =>
  finding(
    'wrong',
    'the data is not what the run was trained on',
    'file names or captions differ from those of the checkpoint',
    'restore the old data or start a new run: this run cannot be resumed, and the held-out images may be images that it was trained on',
  )

/**
 * The names of examples, by a hash of the pixels before augmentation and, if each is a question about its images, of the text: one
 * image may have many questions.
 */
async function hashes(
  source: ImageTextSource | MultiImageSource,
  { family }: RunConfig,
  onImage: () => void,
  signal?: AbortSignal,
): Promise<Map<string, string[]>> {
  const names = new Map<string, string[]>()
  for (let i = 0; i < source.length; i++) {
    signal?.throwIfAborted()
    const pixels = createHash('sha1').update(new Uint8Array((await examplePixels(source, i)).buffer))
    if (family === 'multimodal-classifier') pixels.update(source.captions(i).join('\n'))
    const hash = pixels.digest('base64')
    names.set(hash, [...(names.get(hash) ?? []), source.name(i)])
    onImage()
  }
  return names
}

async function equalImages({
  train,
  validation,
  config,
  onProgress,
  signal,
}: DataExamination): Promise<DoctorFinding[]> {
  const total = train.length + (validation?.length ?? 0)
  let done = 0
  const onImage = () => onProgress?.(++done, total)
  const learned = await hashes(train, config, onImage, signal)
  const judged = validation ? await hashes(validation, config, onImage, signal) : new Map<string, string[]>()
  const findings: DoctorFinding[] = []
  const both = [...judged].flatMap(([hash, names]) => (learned.has(hash) ? [[names, learned.get(hash)!] as const] : []))
  if (both.length > 0) {
    const count = both.reduce((sum, [names]) => sum + names.length, 0)
    findings.push(
      finding(
        'wrong',
        'held-out images are among the training images',
        `${count} of ${validation!.length} (${share(count, validation!.length)}) have the pixels of a training image: ${some(
          both.map(([[heldOut], [own]]) => `${heldOut} equals ${own}`),
          2,
        )}`,
        'remove one image of each pair and start a new run: the evaluations of this run are too good',
      ),
    )
  }
  const twice = [...learned.values()].filter(names => names.length > 1)
  const more = twice.reduce((sum, names) => sum + names.length - 1, 0)
  if (more > 0)
    findings.push(
      finding(
        more > MANY * train.length ? 'suspect' : 'note',
        'training images occur more than once',
        `${more} of ${train.length} (${share(more, train.length)}) have the pixels of another one: ${some(
          twice.map(names => names.slice(0, 2).join(' equals ')),
          2,
        )}`,
        'remove them, or give one image several captions: in a batch they are false negatives of each other, and they count twice',
      ),
    )
  return findings
}

/** Whether a run has a contrastive loss. */
const comparesTexts = ({ family, model }: RunConfig): boolean =>
  family === 'dual-encoder' || (family === 'coca' && ((model as CoCaConfig).loss?.contrastive?.weight ?? 1) !== 0)

/** Finds equal captions, which are false negatives of each other unless the run treats them as positives or separates them. */
function equalCaptions({ train, config }: DataExamination): DoctorFinding[] {
  if (!comparesTexts(config)) return []
  const counts = new Map<string, number>()
  let all = 0
  for (let i = 0; i < train.length; i++) {
    // a batch has one of the captions of an image
    const texts = train.captions(i)
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1 / texts.length)
    all++
  }
  const equal =
    [...counts.values()].reduce((sum, n) => sum + Math.max(0, n * (n - 1)), 0) / Math.max(1, all * (all - 1))
  const others = equal * (config.batchSize - 1)
  const frequent = [...counts].sort(([, a], [, b]) => b - a).slice(0, 2)
  const evidence = `${counted(all, 'image')} have ${counted(counts.size, 'different caption')}; in a batch of ${config.batchSize}, a caption equals ${digits(others)} others on average. The most frequent: ${frequent.map(([text, n]) => `'${text}' ${Math.round(n)} times`).join(', ')}`
  if (others > 0.5 * (config.batchSize - 1))
    return [
      finding(
        'suspect',
        'most captions of a batch are equal',
        evidence,
        'write captions that say what is special about each image: a caption that fits most images distinguishes none',
      ),
    ]
  if (!('equalCaptions' in config) || config.equalCaptions !== 'ignore' || others < MANY) return []
  return [
    finding(
      others > 0.1 ? 'suspect' : 'note',
      'equal captions are false negatives of each other',
      evidence,
      "set equalCaptions to 'positives', or to 'distinct' to keep them in different batches",
    ),
  ]
}

function captionsOf({ tokenizer, config }: DataExamination, source: ExampleSource, which: string): DoctorFinding[] {
  if (!tokenizer || !hasTexts(config)) return []
  const { context } = config.model.text
  const faults = { empty: [] as string[], long: [] as string[], strange: [] as string[], unread: [] as string[] }
  let all = 0
  for (let i = 0; i < source.length; i++)
    for (const text of source.captions(i)) {
      all++
      const ids = tokenizer.encode(text)
      const known = ids.filter(id => id !== tokenizer.unknown && id !== tokenizer.pad)
      const shown = `${source.name(i)}: '${text.length > 60 ? `${text.slice(0, 60)}…` : text}'`
      if (ids.length + 2 > context) faults.long.push(`${shown} (${ids.length + 2} ids)`)
      if (ids.every(id => id === tokenizer.pad)) faults.empty.push(shown)
      else if (known.length === 0) faults.unread.push(shown)
      else if (known.length < ids.length) faults.strange.push(shown)
    }
  const about = (list: readonly string[], fault: string, advice: string, from = MANY): DoctorFinding[] =>
    list.length === 0
      ? []
      : [
          finding(
            list.length > from * all ? 'suspect' : 'note',
            `${which} captions ${fault}`,
            `${list.length} of ${all} (${share(list.length, all)}): ${some(list, 2)}`,
            advice,
          ),
        ]
  return [
    ...about(faults.empty, 'contain only padding', 'give these images captions, or remove them', 0),
    ...about(
      faults.unread,
      'contain no word that the model knows',
      'give these images captions in the words of the others',
      0,
    ),
    ...about(
      faults.long,
      'are longer than the context',
      `use a model.text.context above ${context}: the end of these captions is cut off and never learned, and two of them may become equal`,
    ),
    ...about(
      faults.strange,
      'contain words that the model does not know',
      'use these words in training captions, or a larger vocabulary: the model reads all unknown words as the same word',
      0.5,
    ),
  ]
}

/** Finds classes of a classifier that have no training image, or far fewer than others. */
function classesOf({ train, classes }: DataExamination): DoctorFinding[] {
  if (!classes) return []
  const counts = new Map(classes.map(name => [name, 0]))
  for (let i = 0; i < train.length; i++)
    for (const name of train.labels?.(i) ?? []) counts.set(name, (counts.get(name) ?? 0) + 1)
  const ordered = [...counts].sort(([, a], [, b]) => a - b)
  const list = ordered.map(([name, count]) => `'${name}' ${count}`)
  const [least, most] = [ordered[0], ordered[ordered.length - 1]]
  if (least[1] === 0)
    return [
      finding(
        'suspect',
        'some classes have no training image',
        `training images of each class, fewest first: ${some(list)}`,
        'hold out a smaller share of the images, or collect more images of these classes',
      ),
    ]
  if (least[1] * UNEQUAL > most[1]) return []
  return [
    finding(
      'note',
      'some classes have far fewer images than others',
      `training images of each class, fewest first: ${some(list)}; '${most[0]}' has the most, ${most[1]}`,
      'look at the accuracy of each class, and collect more images of the rare classes: the model may only learn to predict the frequent ones',
    ),
  ]
}
