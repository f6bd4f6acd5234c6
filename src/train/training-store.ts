// A training in a store, such as one in a browser: the files are those of a run's folder, so that a folder with all of them is one that
// Node reads, and the other way round.
//
//     metrics.jsonl      checkpoints/step-000200/{model.safetensors, optimizer.safetensors, state.json}, and average.safetensors with an average
//
// A checkpoint and the metrics up to it are written in one change, so they always fit together.

import {
  checkFinite,
  encodeSafetensors,
  type FileStore,
  fromSafetensors,
  OBJECT_NAMES,
  parseJson,
  parseSafetensors,
  toSafetensors,
} from '../io/browser.ts'
import { checkState } from '../nn/module.ts'
import { defaultGenerator, scope, seed } from '../tensor/index.ts'
import {
  AVERAGE,
  checkAverages,
  checkpointOf,
  checkTrainingState,
  fitting,
  MODEL,
  OPTIMIZER,
  STATE,
  stepName,
  type TrainingParts,
  type TrainingState,
} from './checkpoint-state.ts'
import type { MetricsLine } from './metrics.ts'

const METRICS = 'metrics.jsonl'
const CHECKPOINT = /^checkpoints\/step-(\d{6,})\//

/** Options for saving a checkpoint into a store. */
export interface SaveTrainingOptions {
  /** which steps keep their checkpoint, of all that have one afterwards; default all. The one that is saved is always kept */
  readonly keep?: (steps: readonly number[]) => readonly number[]
  /** all metrics so far, for metrics.jsonl; default: those of the store up to this step */
  readonly metrics?: readonly MetricsLine[]
}

/** The checkpoints and metrics of a training in a store. */
export class TrainingStore {
  /** where they are kept, under the names of a run's folder */
  readonly files: FileStore

  constructor(files: FileStore) {
    this.files = files
  }

  /** The steps that have a checkpoint, ascending. */
  async steps(): Promise<number[]> {
    const steps = new Set<number>()
    for (const name of (await this.files.list()).keys()) {
      const match = CHECKPOINT.exec(name)
      if (match && name.endsWith(`/${STATE}`)) steps.add(Number(match[1]))
    }
    return [...steps].sort((a, b) => a - b)
  }

  /** The metrics, in order; empty if there are none. @throws FileError for a line that is not JSON */
  async metrics(): Promise<MetricsLine[]> {
    if (!(await this.files.list()).has(METRICS)) return []
    const lines = textOf(await this.files.read(METRICS)).split('\n')
    return lines.filter(line => line !== '').map(line => parseJson(line, { refused: ['__proto__'] }) as MetricsLine)
  }

  /**
   * Saves a training as it is now, in one change. Checkpoints of later steps are removed: the training went back before them.
   * @throws TrainingError if a parameter or a moment is not finite; FileError if there is no space left. The store is unchanged then
   */
  async save(training: TrainingParts, { keep = all, metrics }: SaveTrainingOptions = {}): Promise<void> {
    const { step } = training.state
    const checkpoint = await checkpointOf(training)
    const folder = `checkpoints/${stepName(step)}`
    const files = new Map<string, Uint8Array>()
    const tensors = { [MODEL]: checkpoint.model, [OPTIMIZER]: checkpoint.optimizer, [AVERAGE]: checkpoint.average }
    for (const [name, values] of Object.entries(tensors))
      if (values) files.set(`${folder}/${name}`, together(encodeSafetensors(await toSafetensors(values))))
    files.set(`${folder}/${STATE}`, bytesOf(`${JSON.stringify(checkpoint.state, null, 2)}\n`))
    const lines = metrics ?? (await this.metrics()).filter(line => line.step <= step)
    files.set(METRICS, bytesOf(lines.map(line => `${JSON.stringify(line)}\n`).join('')))

    const earlier = (await this.steps()).filter(other => other < step)
    const kept = new Set([...keep([...earlier, step]), step])
    const isRemoved = (name: string) => {
      const match = CHECKPOINT.exec(name)
      return match !== null && !files.has(name) && (Number(match[1]) === step || !kept.has(Number(match[1])))
    }
    await this.files.write(files, [...(await this.files.list()).keys()].filter(isRemoved))
  }

  /**
   * Reads the checkpoint of a step into a model, its optimizer and the average of its weights, and sets the random numbers. The
   * model and the optimizer are unchanged unless everything fits.
   * @throws CheckpointError if the checkpoint does not fit the model or the optimizer; FileError if there is none; DataError if it is
   *   damaged
   */
  async load(
    step: number,
    { model, optimizer, average }: Pick<TrainingParts, 'model' | 'optimizer' | 'average'>,
  ): Promise<TrainingState<object>> {
    const state = await this.state(step)
    const file = this.#path(step)
    checkAverages(state, average, { setting: 'the training', file })
    const read = async (name: string) => {
      const path = `${file}/${name}`
      const { tensors } = parseSafetensors(await this.files.read(`checkpoints/${stepName(step)}/${name}`), path)
      checkFinite(tensors, { file: path, advice: 'Use an earlier checkpoint' })
      return tensors
    }
    const [weights, moments] = [await read(MODEL), await read(OPTIMIZER)]
    const averages = state.average && (await read(AVERAGE))
    fitting(file, () =>
      scope(() => {
        const parameters = fromSafetensors(weights)
        checkState(model, parameters)
        if (average && averages) average.loadStateDict({ tensors: fromSafetensors(averages), values: state.average! })
        optimizer.loadStateDict({ tensors: fromSafetensors(moments), values: state.optimizer })
        model.loadStateDict(parameters)
      }),
    )
    seed(state.generator.seed)
    defaultGenerator().seek(state.generator.position)
    return state
  }

  /** What a checkpoint has besides tensors. @throws as {@link load} */
  async state(step: number): Promise<TrainingState<object>> {
    const bytes = await this.files.read(`checkpoints/${stepName(step)}/${STATE}`)
    return checkTrainingState<object>(
      parseJson(textOf(bytes), { refused: OBJECT_NAMES }),
      `${this.#path(step)}/${STATE}`,
    )
  }

  #path(step: number): string {
    return `${this.files.name}/checkpoints/${stepName(step)}`
  }
}

const all = (steps: readonly number[]) => steps

const bytesOf = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes)

function together(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
