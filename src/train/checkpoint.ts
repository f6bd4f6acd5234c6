// The folder of a checkpoint: see checkpoint-state.ts for what is in it.

import { basename, dirname, join } from 'node:path'
import type { BatchState } from '../data/index.ts'
import {
  dtypeStoredAs,
  makeFolder,
  namesIn,
  openSafetensors,
  readJson,
  SAFETENSORS_DTYPE,
  type SafetensorsDtype,
  type SafetensorsTensor,
  streamSafetensors,
  WeightFile,
  writeAtomically,
} from '../io/index.ts'
import type { Module } from '../nn/index.ts'
import { checkState } from '../nn/module.ts'
import { absent, type ModuleTensor, valuesOf } from '../nn/parameter.ts'
import type { AverageState, ExponentialMovingAverage, Optimizer, OptimizerState } from '../optim/index.ts'
import { type DType, device, fromData, scope, type Tensor, type TypedArray } from '../tensor/index.ts'
import { fromPieces } from '../tensor/pieces.ts'
import {
  AVERAGE,
  type Checkpoint,
  CheckpointError,
  checkTrainingState,
  fitting,
  MODEL,
  OPTIMIZER,
  STATE,
  type TrainingState,
} from './checkpoint-state.ts'

export { type Checkpoint, CheckpointError, type TrainingState } from './checkpoint-state.ts'

/** Tensors on the host, by name. */
export type HostTensors = Map<string, SafetensorsTensor>

/** The weights of a checkpoint: the averages, or those after its step. */
export type CheckpointWeights = 'average' | 'last'

/**
 * A file's tensors on the current device.
 * @throws CheckpointError for a dtype that the device does not support
 */
export function toDevice(tensors: HostTensors, file: string): Map<string, Tensor> {
  return new Map(
    [...tensors].map(([name, { dtype, shape, data }]) => [
      name,
      fromData(data as TypedArray, shape, undefined, dtypeHere(name, dtype, file)),
    ]),
  )
}

/** @throws CheckpointError for a dtype that the current device does not support */
function dtypeHere(name: string, stored: SafetensorsDtype, file: string): DType {
  const found = dtypeStoredAs(stored)
  if (found !== undefined) return found
  const reason = `tensor '${name}' is ${stored}, but device ${device.current} supports ${device.get().dtypes.join(', ')}`
  throw new CheckpointError(reason, { file })
}

/**
 * The tensors of a file on the current device, each of which is read when it is needed. Half precisions are widened to float32.
 * @throws CheckpointError for a dtype that the device does not support; when a tensor is read, as `WeightFile.pieces`
 */
export function tensorsOf(weights: WeightFile): Map<string, ModuleTensor> {
  const { file } = weights
  const on = device.get()
  return new Map(
    file.names.map(name => {
      const { dtype: stored, shape } = file.entry(name)
      const dtype = dtypeHere(name, stored === 'F16' || stored === 'BF16' ? 'F32' : stored, file.path)
      return [name, absent(shape, dtype, () => fromPieces(weights.pieces(name), shape, on, dtype))]
    }),
  )
}

/** Writes tensors to a file, one after the other, atomically. @throws FileError */
export async function writeTensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const layouts = new Map(
    [...tensors].map(([name, { dtype, shape }]) => [name, { dtype: SAFETENSORS_DTYPE[dtype], shape }] as const),
  )
  await streamSafetensors(path, layouts, name => valuesOf(tensors.get(name)!), metadata)
}

/** The folder of one checkpoint, such as `step-000200`. */
export class CheckpointFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** updates that were made */
  get step(): number {
    return Number(basename(this.path).slice('step-'.length))
  }

  get optimizerFile(): string {
    return join(this.path, OPTIMIZER)
  }

  /** Writes the checkpoint atomically: completely or not at all. */
  async write({ state, model, optimizer, average }: Checkpoint): Promise<void> {
    await makeFolder(this.path, async unfinished => {
      await writeTensors(join(unfinished, MODEL), model)
      await writeTensors(join(unfinished, OPTIMIZER), optimizer)
      if (average) await writeTensors(join(unfinished, AVERAGE), average)
      await writeAtomically(join(unfinished, STATE), `${JSON.stringify(state, null, 2)}\n`)
    })
  }

  /** Whether there are averages of the weights. */
  async hasAverage(): Promise<boolean> {
    return (await namesIn(this.path)).includes(AVERAGE)
  }

  /**
   * Reads the parameters into a model, on the current device.
   * @param weights 'average' for their averages; parameters that were never trained have none, and keep their values
   * @throws CheckpointError naming the parameter and both shapes or dtypes if they differ; NonFiniteWeightsError naming
   *   parameters that are not finite; SafetensorsError if the file is damaged
   */
  async loadModel(model: Module, weights: CheckpointWeights = 'last'): Promise<void> {
    const { file, tensors } = await this.#modelTensors(weights, true)
    fitting(file, () => scope(() => void model.loadStateDict(tensors)))
  }

  /**
   * The same, but each parameter is read when it is first needed; what can be wrong besides its values is found now. The checkpoint must
   * stay there unchanged.
   */
  async openModel(model: Module, weights: CheckpointWeights = 'last'): Promise<void> {
    const { file, tensors } = await this.#modelTensors(weights, false)
    fitting(file, () => {
      for (const [name, tensor] of checkState(model, tensors)) {
        const value = tensors.get(name)!
        tensor.assignLater(() => value.copied(), { dtype: value.dtype })
      }
    })
  }

  async #modelTensors(weights: CheckpointWeights, isChecked: boolean) {
    const { file, tensors } = await this.#open(MODEL, isChecked)
    if (weights === 'average') {
      const averages = await this.#open(AVERAGE, isChecked)
      const strange = [...averages.tensors.keys()].find(name => !tensors.has(name))
      if (strange !== undefined)
        throw new CheckpointError(`'${strange}' is not a parameter in ${MODEL}`, { file: averages.file })
      for (const [name, value] of averages.tensors) tensors.set(name, value)
    }
    return { file, tensors }
  }

  /** Reads the moments into an optimizer, on the current device. @throws as {@link loadModel} */
  async loadOptimizer(optimizer: Optimizer, values: OptimizerState['values']): Promise<void> {
    const { file, tensors } = await this.#open(OPTIMIZER, true)
    fitting(file, () => scope(() => void optimizer.loadStateDict({ tensors, values })))
  }

  /** Reads the averages of the weights, on the current device. @throws as {@link loadModel} */
  async loadAverage(average: ExponentialMovingAverage, values: AverageState['values']): Promise<void> {
    const { file, tensors } = await this.#open(AVERAGE, true)
    fitting(file, () => scope(() => void average.loadStateDict({ tensors, values })))
  }

  /** @throws CheckpointError naming an invalid field */
  async readState<Batches extends object = BatchState>(): Promise<TrainingState<Batches>> {
    const file = join(this.path, STATE)
    return checkTrainingState<Batches>(await readJson(file), file)
  }

  /** Opens a file whose tensors are read when they are needed. @param isChecked whether all values are checked now, for tensors that replace others */
  async #open(name: string, isChecked: boolean): Promise<{ file: string; tensors: Map<string, ModuleTensor> }> {
    const file = join(this.path, name)
    const opened = await openSafetensors(file)
    const run = dirname(dirname(this.path))
    const advice = `Use an earlier checkpoint: --step N, or remove ${this.path} before you resume; 'cocagrad doctor ${run}' examines the rest of the run`
    const weights = new WeightFile(opened, opened.names, { advice })
    if (isChecked) weights.check()
    return { file, tensors: tensorsOf(weights) }
  }
}
