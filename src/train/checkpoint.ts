// A checkpoint holds all that the next step depends on: parameters, the optimizer's moments, the place in the data, and
// the random generator. A run that goes on from one computes, to the bit, what it would have computed anyway.

import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { BatchState } from '../data/index.ts'
import {
  checkFinite,
  DataError,
  makeFolder,
  namesIn,
  readJson,
  readSafetensors,
  removeFolder,
  removeUnfinished,
  type SafetensorsTensor,
  writeAtomically,
  writeSafetensors,
} from '../io/index.ts'
import { type Module, StateDictError } from '../nn/index.ts'
import { type Optimizer, type OptimizerState, OptimizerStateError } from '../optim/index.ts'
import {
  type DType,
  device,
  fromData,
  type GeneratorState,
  scope,
  type Tensor,
  type TypedArray,
} from '../tensor/index.ts'

/** A checkpoint that does not fit the model or the optimizer, or is damaged. */
export class CheckpointError extends DataError {}

/** What a run needs to go on, besides tensors. */
export interface TrainingState {
  readonly version: 1
  /** updates that were made */
  readonly step: number
  readonly batches: BatchState
  /** the generator that dropout draws from */
  readonly generator: GeneratorState
  readonly optimizer: OptimizerState['values']
}

/** Tensors on the host, by name. */
export type HostTensors = Map<string, SafetensorsTensor>

export interface Checkpoint {
  readonly state: TrainingState
  readonly model: HostTensors
  readonly optimizer: HostTensors
}

const MODEL = 'model.safetensors'
export const OPTIMIZER = 'optimizer.safetensors'
const STATE = 'state.json'

const checkpointsFolder = (run: string) => join(run, 'checkpoints')

/** The folder of one checkpoint of a run. */
export const checkpointFolder = (run: string, step: number): string =>
  join(checkpointsFolder(run), `step-${String(step).padStart(6, '0')}`)

/** The steps of which a run has whole checkpoints, ascending. */
export async function stepsIn(run: string): Promise<number[]> {
  const matches = (await namesIn(checkpointsFolder(run))).map(name => /^step-(\d{6,})$/.exec(name))
  return matches.flatMap(match => (match ? [Number(match[1])] : [])).sort((a, b) => a - b)
}

/** Writes a checkpoint, and then removes the oldest ones but for `keepLast`. Returns its folder. */
export async function writeCheckpoint(run: string, checkpoint: Checkpoint, keepLast: number): Promise<string> {
  const { state, model, optimizer } = checkpoint
  const folder = checkpointFolder(run, state.step)
  await makeFolder(folder, async unfinished => {
    await writeSafetensors(join(unfinished, MODEL), model)
    await writeSafetensors(join(unfinished, OPTIMIZER), optimizer)
    await writeAtomically(join(unfinished, STATE), `${JSON.stringify(state, null, 2)}\n`)
  })
  for (const step of (await stepsIn(run)).slice(0, -keepLast)) await removeFolder(checkpointFolder(run, step))
  return folder
}

/** Removes all checkpoints after a step. */
export async function removeLater(run: string, step: number): Promise<void> {
  for (const later of await stepsIn(run)) if (later > step) await removeFolder(checkpointFolder(run, later))
}

/** Removes what a kill left of checkpoints that were not finished. */
export const removeUnfinishedCheckpoints = (run: string): Promise<void> => removeUnfinished(checkpointsFolder(run))

const SAFETENSORS_DTYPE = { float32: 'F32', float64: 'F64', int32: 'I32', bool: 'BOOL' } as const satisfies Record<
  DType,
  SafetensorsTensor['dtype']
>

/** Copies of tensors on the host. */
export async function toHost(tensors: ReadonlyMap<string, Tensor>): Promise<HostTensors> {
  const host: HostTensors = new Map()
  for (const [name, tensor] of tensors)
    host.set(name, { dtype: SAFETENSORS_DTYPE[tensor.dtype], shape: tensor.shape, data: await tensor.data() })
  return host
}

/**
 * A file's tensors on the current device.
 * @throws CheckpointError for a dtype that the device does not have
 */
export function toDevice(tensors: HostTensors, file: string): Map<string, Tensor> {
  const { dtypes } = device.get()
  const known = dtypes.map(dtype => SAFETENSORS_DTYPE[dtype])
  return new Map(
    [...tensors].map(([name, { dtype, shape, data }]) => {
      if (!known.includes(dtype as (typeof known)[number]))
        throw new CheckpointError(
          `tensor '${name}' is ${dtype}, and device ${device.current} has ${dtypes.join(', ')}`,
          {
            file,
          },
        )
      return [name, fromData(data as TypedArray, shape, undefined, dtype === 'BOOL' ? 'bool' : undefined)]
    }),
  )
}

/**
 * Reads a checkpoint's parameters into a model, on the current device.
 * @throws CheckpointError naming the parameter and both shapes or dtypes where they differ; NonFiniteWeightsError naming those
 *   that are not finite; SafetensorsError if the file is damaged
 */
export async function loadModel(folder: string, model: Module): Promise<void> {
  const { file, tensors } = await readFinite(folder, MODEL)
  fitting(file, () => scope(() => void model.loadStateDict(toDevice(tensors, file))))
}

/** Reads a checkpoint's moments into an optimizer, on the current device. @throws as {@link loadModel} */
export async function loadOptimizer(folder: string, optimizer: Optimizer, values: OptimizerState['values']) {
  const { file, tensors } = await readFinite(folder, OPTIMIZER)
  fitting(file, () => scope(() => void optimizer.loadStateDict({ tensors: toDevice(tensors, file), values })))
}

/** A file of a checkpoint with finite values only. */
async function readFinite(folder: string, name: string): Promise<{ file: string; tensors: HostTensors }> {
  const file = join(folder, name)
  const { tensors } = await readSafetensors(file)
  const run = dirname(dirname(folder))
  const advice = `Use an earlier checkpoint: --step N, or remove ${folder} before you resume; 'cocagrad doctor ${run}' looks at the rest of the run`
  checkFinite(tensors, { file, advice })
  return { file, tensors }
}

function fitting(file: string, load: () => void): void {
  try {
    load()
  } catch (error) {
    if (error instanceof StateDictError || error instanceof OptimizerStateError)
      throw new CheckpointError(error.message, { file, cause: error })
    throw error
  }
}

const stateSchema = z.object({
  version: z.literal(1),
  step: z.int().min(0),
  batches: z.custom<BatchState>(value => typeof value === 'object' && value !== null),
  generator: z.object({ seed: z.int().min(0), position: z.int().min(0) }),
  optimizer: z.object({ algorithm: z.string(), steps: z.record(z.string(), z.int()) }),
})

/** @throws CheckpointError naming the field that is not what it should be */
export async function readState(folder: string): Promise<TrainingState> {
  const file = join(folder, STATE)
  const parsed = stateSchema.safeParse(await readJson(file))
  if (parsed.success) return parsed.data
  const { path, message } = parsed.error.issues[0]
  throw new CheckpointError(`${path.join('.') || 'the state'}: ${message}`, { file, cause: parsed.error })
}
