// The weights of any module in a file of their own, as safetensors under the names of its parameters.

import { checkFinite, openTensors, wrapperOf, writeSafetensors } from '../io/index.ts'
import { type Module, StateDictError } from '../nn/index.ts'
import { scope } from '../tensor/index.ts'
import { CheckpointError, type HostTensors, toDevice, toHost } from './checkpoint.ts'

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
  const tensors = await toHost(module.stateDict())
  checkFinite(tensors, { file: path, advice: 'Nothing was written' })
  await writeSafetensors(path, tensors, metadata)
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
  const tensors: HostTensors = new Map()
  for (const name of file.names) {
    const { dtype, ...tensor } = await file.tensor(name)
    tensors.set(name.slice(start), { dtype: dtype === 'F16' || dtype === 'BF16' ? 'F32' : dtype, ...tensor })
  }
  checkFinite(tensors, { file: path, advice: 'Save the model again, or use another file' })
  try {
    scope(() => void module.loadStateDict(toDevice(tensors, path)))
  } catch (error) {
    throw error instanceof StateDictError ? new CheckpointError(error.message, { file: path, cause: error }) : error
  }
  return module
}
