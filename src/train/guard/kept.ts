// Files with everything that a wrong gradient was computed from: the batch, the weights and the position of the random numbers.
// Arrays are tensors of the file, named by their path in the batch; the rest of the batch is JSON in its metadata.

import {
  DataError,
  messageOf,
  parseJson,
  readSafetensors,
  type SafetensorsTensor,
  toSafetensors,
  writeSafetensors,
} from '../../io/index.ts'
import { device, type TypedArray } from '../../tensor/index.ts'
import { HostTensor, leavesOf, mapLeaves, pathsOf, readBatch, writeBatch } from '../batch-tree.ts'
import type { HostTensors } from '../checkpoint.ts'
import type { RunFolder } from '../run-folder.ts'
import type { LossProblem } from './directional.ts'

const PARAMETER = 'parameter.'

/** Everything that a check depends on, except the run's configuration. */
export interface KeptBatch<Batch = unknown> extends Omit<LossProblem<Batch>, 'objective'> {
  readonly step: number
  readonly parameters: HostTensors
}

/** Represents an array in the metadata. */
interface Placeholder {
  readonly tensor: string
  /** only for tensors, not for arrays */
  readonly dtype?: HostTensor['dtype']
}

const dtypeOf = (data: TypedArray): SafetensorsTensor['dtype'] =>
  data instanceof Float64Array
    ? 'F64'
    : data instanceof Float32Array
      ? 'F32'
      : data instanceof Int32Array
        ? 'I32'
        : 'U8'

const flat = (data: TypedArray) => ({ data, shape: [data.length] })

/** Saves everything that a check depended on in a run's folder. Returns the file's name there. @throws FileError */
export async function keepIn(folder: RunFolder, problem: LossProblem, step: number): Promise<string> {
  const { name, path } = folder.guardFile(step)
  await keepBatch(path, problem, step)
  return name
}

async function keepBatch(file: string, { objective, batch, parts, position }: LossProblem, step: number) {
  const host = await readBatch(batch)
  const tensors = new Map<string, SafetensorsTensor>()
  for (const [path, leaf] of pathsOf(host)) {
    const { data, shape } = leaf instanceof HostTensor ? leaf : flat(leaf as TypedArray)
    tensors.set(path, { dtype: dtypeOf(data), shape, data })
  }
  for (const [name, value] of await toSafetensors(objective.model.stateDict())) tensors.set(PARAMETER + name, value)
  const outline = mapLeaves(host, (leaf, tensor) => ({
    tensor,
    ...(leaf instanceof HostTensor && { dtype: leaf.dtype }),
  }))
  const facts = { step, parts, position, device: device.description, batch: JSON.stringify(outline) }
  await writeSafetensors(file, tensors, Object.fromEntries(Object.entries(facts).map(([k, v]) => [k, String(v)])))
}

/**
 * Reads a file that a guard saved, with tensors on the current device.
 * @throws SafetensorsError if the file is damaged, DataError if no guard wrote it
 */
export async function readKeptBatch<Batch = unknown>(file: string): Promise<KeptBatch<Batch>> {
  const { tensors, metadata } = await readSafetensors(file)
  const [step, parts, position] = ['step', 'parts', 'position'].map(name => Number(metadata.get(name)))
  const outline = metadata.get('batch')
  const batch = outline === undefined ? imagesAndTexts(tensors) : filled(parseOutline(outline, file), tensors)
  if (!Number.isInteger(step + parts + position) || batch === undefined || leavesOf(batch).length === 0)
    throw new DataError('is not a batch that a guard saved', { file })
  const parameters: HostTensors = new Map()
  for (const [name, tensor] of tensors)
    if (name.startsWith(PARAMETER)) parameters.set(name.slice(PARAMETER.length), tensor)
  return { step, batch: writeBatch(batch) as Batch, parts, position, parameters }
}

function parseOutline(outline: string, file: string): unknown {
  try {
    return parseJson(outline)
  } catch (error) {
    throw new DataError(`is not a batch that a guard saved: its outline ${messageOf(error)}`, { file, cause: error })
  }
}

/** A batch with its arrays filled in; undefined if one is missing. */
function filled(outline: unknown, tensors: ReadonlyMap<string, SafetensorsTensor>): unknown {
  let isWhole = true
  const fill = (branch: unknown): unknown => {
    if (Array.isArray(branch)) return branch.map(fill)
    if (typeof branch !== 'object' || branch === null) return branch
    const { tensor: name, dtype } = branch as Partial<Placeholder>
    if (typeof name !== 'string')
      return Object.fromEntries(Object.entries(branch).map(([key, inner]) => [key, fill(inner)]))
    const found = tensors.get(name)
    isWhole &&= found !== undefined
    return found && dtype ? new HostTensor(found.data as TypedArray, found.shape, dtype) : found?.data
  }
  const batch = fill(outline)
  return isWhole ? batch : undefined
}

/** The older format, for CoCa only: the shapes of the batch are those of its tensors. */
function imagesAndTexts(tensors: ReadonlyMap<string, SafetensorsTensor>): unknown {
  const [images, tokens] = ['images', 'tokens'].map(name => tensors.get(name))
  if (images?.dtype !== 'F32' || images.shape.length !== 4 || tokens?.dtype !== 'I32') return undefined
  return { images: images.data, imageShape: images.shape, tokens: tokens.data, tokenShape: tokens.shape }
}
