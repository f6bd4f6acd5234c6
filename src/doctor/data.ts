// What a run learns from and is judged by: images that are there twice, captions that belong to several images, captions
// that the model cannot read.

import { createHash } from 'node:crypto'
import type { ImageTextSource, Tokenizer } from '../data/index.ts'
import type { CoCaConfig } from '../models/index.ts'
import type { RunConfig } from '../train/index.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'

const finding = findingsOf('data')

/** How many times as many images one class may have as another. */
const UNEQUAL = 10

/** From this share of the data on most faults are worth more than a note. */
const MANY = 0.01

export interface DataExamination {
  readonly train: ImageTextSource
  readonly validation?: ImageTextSource
  /** of a run on texts */
  readonly tokenizer?: Tokenizer
  /** of a classifier */
  readonly classes?: readonly string[]
  readonly config: RunConfig
  /** the checkpoint was trained on other data */
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
    ...captionsOf(data, train, 'to learn from'),
    ...(validation ? captionsOf(data, validation, 'held back') : []),
    ...classesOf(data),
  ]
}

const changed = (): DoctorFinding =>
  finding(
    'wrong',
    'the data is not what the run was trained on',
    'names of files or captions differ from those that the checkpoint was written with',
    'bring the old data back, or start a new run: this one cannot be resumed, and its validation images may have been trained on',
  )

/** Names of images by their pixels, as the model sees them before they are augmented. */
async function hashes(
  source: ImageTextSource,
  onImage: () => void,
  signal?: AbortSignal,
): Promise<Map<string, string[]>> {
  const names = new Map<string, string[]>()
  for (let i = 0; i < source.length; i++) {
    signal?.throwIfAborted()
    const hash = createHash('sha1')
      .update(new Uint8Array((await source.image(i)).buffer))
      .digest('base64')
    names.set(hash, [...(names.get(hash) ?? []), source.name(i)])
    onImage()
  }
  return names
}

async function equalImages({ train, validation, onProgress, signal }: DataExamination): Promise<DoctorFinding[]> {
  const total = train.length + (validation?.length ?? 0)
  let done = 0
  const onImage = () => onProgress?.(++done, total)
  const learned = await hashes(train, onImage, signal)
  const judged = validation ? await hashes(validation, onImage, signal) : new Map<string, string[]>()
  const findings: DoctorFinding[] = []
  const both = [...judged].flatMap(([hash, names]) => (learned.has(hash) ? [[names, learned.get(hash)!] as const] : []))
  if (both.length > 0) {
    const count = both.reduce((sum, [names]) => sum + names.length, 0)
    findings.push(
      finding(
        'wrong',
        'images held back are among those to learn from',
        `${count} of ${validation!.length} (${share(count, validation!.length)}), pixel by pixel: ${some(
          both.map(([[held], [own]]) => `${held} is ${own}`),
          2,
        )}`,
        'evaluations of this run say too much: remove one of each, and train anew',
      ),
    )
  }
  const twice = [...learned.values()].filter(names => names.length > 1)
  const more = twice.reduce((sum, names) => sum + names.length - 1, 0)
  if (more > 0)
    findings.push(
      finding(
        more > MANY * train.length ? 'suspect' : 'note',
        'images to learn from are there more than once',
        `${more} of ${train.length} (${share(more, train.length)}) are another once more, pixel by pixel: ${some(
          twice.map(names => names.slice(0, 2).join(' is ')),
          2,
        )}`,
        'in one batch they are false negatives of each other, and they count twice: remove them, or give one image several captions',
      ),
    )
  return findings
}

/** Whether a run has a contrastive loss. */
const comparesTexts = ({ family, model }: RunConfig): boolean =>
  family === 'dual-encoder' || (family === 'coca' && ((model as CoCaConfig).loss?.contrastive?.weight ?? 1) !== 0)

/** Captions that are equal make false negatives, unless the run knows of them. */
function equalCaptions({ train, config }: DataExamination): DoctorFinding[] {
  if (!comparesTexts(config)) return []
  const counts = new Map<string, number>()
  let all = 0
  for (let i = 0; i < train.length; i++) {
    // one of an image's captions is in a batch
    const texts = train.captions(i)
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1 / texts.length)
    all++
  }
  const equal =
    [...counts.values()].reduce((sum, n) => sum + Math.max(0, n * (n - 1)), 0) / Math.max(1, all * (all - 1))
  const others = equal * (config.batchSize - 1)
  const frequent = [...counts].sort(([, a], [, b]) => b - a).slice(0, 2)
  const evidence = `${counts.size} different captions of ${counted(all, 'image')}; in a batch of ${config.batchSize} each caption has ${digits(others)} equals on average. Most frequent: ${frequent.map(([text, n]) => `'${text}' ${Math.round(n)} times`).join(', ')}`
  if (others > 0.5 * (config.batchSize - 1))
    return [
      finding(
        'suspect',
        'most captions of a batch are equal',
        evidence,
        'a caption that fits most images tells none apart: captions must say what is special about their image',
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

function captionsOf({ tokenizer, config }: DataExamination, source: ImageTextSource, which: string): DoctorFinding[] {
  if (!tokenizer || config.family === 'classifier') return []
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
            `captions ${which} ${fault}`,
            `${list.length} of ${all} (${share(list.length, all)}): ${some(list, 2)}`,
            advice,
          ),
        ]
  return [
    ...about(faults.empty, 'are nothing but padding', 'give these images captions, or remove them', 0),
    ...about(
      faults.unread,
      'have no word that the model knows',
      'give these images captions in the words of the others',
      0,
    ),
    ...about(
      faults.long,
      'are cut off by the context',
      `a model.text.context of more than ${context} keeps them whole; what is cut is never learned, and two captions may become one`,
    ),
    ...about(
      faults.strange,
      'have words that the model does not know',
      'the model reads all of them as one word: images to learn from must use them, or the vocabulary be larger',
      0.5,
    ),
  ]
}

/** Classes of a classifier that have no image to learn from, or hardly any beside the others. */
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
        'some classes have no image to learn from',
        `images by class, the fewest first: ${some(list)}`,
        'all their images are held back: hold back a smaller share, or collect more images of these classes',
      ),
    ]
  if (least[1] * UNEQUAL > most[1]) return []
  return [
    finding(
      'note',
      'some classes have far fewer images than others',
      `images by class, the fewest first: ${some(list)}; the most has '${most[0]}', ${most[1]}`,
      'the model learns to name the frequent ones: look at the accuracy of each class, and collect more images of the rare ones',
    ),
  ]
}
