// The weights of any module in a file of their own, as safetensors under the names of its parameters.

import {
  type NonFiniteTensor,
  NonFiniteWeightsError,
  nonFiniteIn,
  openTensors,
  WeightFile,
  wrapperOf,
} from '../io/index.ts'
import { type Module, StateDictError } from '../nn/index.ts'
import { scope } from '../tensor/index.ts'
import { CheckpointError, tensorsOf, writeTensors } from './checkpoint.ts'

/**
 * Writes the parameters of a module, in their dtypes: at once, or not at all.
 *
 *     await saveModel('net.safetensors', net, { task: 'xor' })
 *
 * @param metadata texts that describe the file
 * @throws NonFiniteWeightsError for a value that is NaN or infinite; FileError if the file cannot be written
 */
export async function saveModel(
  path: string,
  module: Module,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const tensors = module.stateDict()
  const bad: NonFiniteTensor[] = []
  for (const [name, tensor] of tensors) bad.push(...nonFiniteIn(name, tensor.shape, await tensor.data()))
  if (bad.length > 0) throw new NonFiniteWeightsError(bad, tensors.size, { file: path, advice: 'Nothing was written' })
  await writeTensors(path, tensors, metadata)
}

/**
 * Reads the parameters of a module from a file of `saveModel`, or any safetensors or .pt with the same names; nothing is changed unless
 * everything fits. float16 and bfloat16 become float32. If every name begins with what torch.compile or DataParallel puts
 * there (`_orig_mod.`, `module.`) and the module has no such names, this is left out.
 *
 *     const net = await loadModel('net.safetensors', new Net())
 *
 * @returns the module
 * @throws CheckpointError naming parameters that are missing, unexpected, or of another shape or dtype; NonFiniteWeightsError; DataError for
 *   a damaged file
 */
export async function loadModel<M extends Module>(path: string, module: M): Promise<M> {
  const file = await openTensors(path)
  const wrapper = wrapperOf(file.names)
  const own = new Set(module.stateDict().keys())
  const start = file.names.some(name => own.has(name)) ? 0 : wrapper.length
  const weights = new WeightFile(file, file.names, { advice: 'Save the model again, or use another file' })
  weights.check()
  const tensors = new Map([...tensorsOf(weights)].map(([name, tensor]) => [name.slice(start), tensor]))
  try {
    scope(() => void module.loadStateDict(tensors))
  } catch (error) {
    throw error instanceof StateDictError ? new CheckpointError(error.message, { file: path, cause: error }) : error
  }
  return module
}
