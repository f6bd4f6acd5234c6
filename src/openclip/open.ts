// Opens a checkpoint of OpenCLIP whose files are not in a folder of Node: chosen in a page, dropped on it, or at a URL. Runs in a browser.

import {
  type ByteSource,
  checkFinite,
  DataError,
  type OpenedSafetensors,
  openSafetensors,
  parseJson,
  type ReadTensorsOptions,
  type SafetensorsTensor,
} from '../io/browser.ts'
import type { CoCaConfig, DualEncoderConfig, FamilyModels } from '../models/index.ts'
import type { Parameter } from '../nn/index.ts'
import { fromData, type Shape, scope, sizeOf } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { openClipArchitectures } from './architectures.ts'
import { fromOpenClipTensor, type OpenClipModel, type OpenClipTensor } from './names.ts'
import {
  checkArchitecture,
  modelWithoutWeights,
  OpenClipError,
  type OpenClipFamily,
  type OpenClipOptions,
  openClipOptions,
  readConfig,
  weightsIn,
} from './opening.ts'
import type { Preprocessing } from './preprocessing.ts'
import type { TokenizerSettings } from './tokenizer-settings.ts'

/** The files of a checkpoint. */
export interface OpenClipFiles {
  /** the text of open_clip_config.json; not needed with the name of an architecture */
  readonly config?: string
  /** open_clip_model.safetensors: a File, a URL or bytes */
  readonly weights: ByteSource
}
const isFiles = {
  config: is.optional(is.text),
  weights: is.anything as is.Kind<ByteSource>,
} satisfies Settings<OpenClipFiles>

/** Options of {@link openOpenClip}. */
export interface OpenOpenClipOptions<F extends OpenClipFamily = OpenClipFamily> extends OpenClipOptions<F> {
  /** of every request for a URL */
  readonly headers?: Readonly<Record<string, string>>
}
const openOptions = {
  ...openClipOptions,
  headers: is.optional(is.options as is.Kind<Readonly<Record<string, string>>>),
} satisfies Settings<OpenOpenClipOptions>

/** A checkpoint whose weights have not been read. Made by {@link openOpenClip}. */
export interface OpenedOpenClip<F extends OpenClipFamily = 'coca'> {
  /** coca, or dual-encoder for a CLIP or SigLIP */
  readonly family: F
  /** its configuration */
  readonly config: F extends 'coca' ? CoCaConfig : DualEncoderConfig
  /** how pictures become the model's input: size, mean and deviation, resizing */
  readonly preprocessing: Preprocessing
  /** for {@link parseOpenClipTokenizer} */
  readonly tokenizerSettings: TokenizerSettings
  /** the number of all weights, which take four bytes each on a device */
  readonly parameterCount: number
  /** bytes of the weights in the file */
  readonly byteCount: number
  /**
   * Reads all weights to the current device, part by part, and gives the model in evaluation mode.
   * @param options.onProgress called with the bytes that were read so far, and all; what it throws ends the reading
   * @throws NonFiniteWeightsError for weights that are not finite in float32; OutOfMemoryError; FileError if the file cannot be read
   */
  read(options?: ReadTensorsOptions): Promise<FamilyModels[F]>
}

/**
 * Opens a CoCa of OpenCLIP, or a CLIP, which is a dual encoder, from files that are not in a folder: in a page those that a person chooses
 * or drops, or URLs, of which parts are requested. The header of the weights is read, and names, shapes and dtypes are checked. In Node,
 * `openClip` of cocagrad/train opens a folder.
 *
 *     const opened = await openOpenClip({ config: await config.text(), weights })
 *     console.log(4 * opened.parameterCount)     // bytes that it takes
 *     const model = await opened.read({ onProgress: (done, count) => { bar.value = done / count } })
 *
 * @throws OpenClipError naming the setting or the tensors that do not fit; SafetensorsError, FileError
 */
export async function openOpenClip<F extends OpenClipFamily = 'coca'>(
  files: OpenClipFiles,
  options?: OpenOpenClipOptions<F>,
): Promise<{ [K in F]: OpenedOpenClip<K> }[F]> {
  const call = 'openOpenClip(files, options)'
  const { config, weights } = settle(call, files, isFiles)
  const settled = settle(call, options as OpenOpenClipOptions, openOptions)
  const { architecture, headers } = settled
  checkArchitecture(architecture)
  if (config === undefined && architecture === undefined)
    throw new OpenClipError(
      'has no configuration: give the text of open_clip_config.json as config, or an architecture',
    )
  const name = architecture ?? 'open_clip_config.json'
  const json = architecture ? openClipArchitectures[architecture] : jsonOf(config!, name)
  const { family, model: settings, ...others } = readConfig(json, [settled.family].flat(), name)
  const file = await openSafetensors(weights, { headers })
  const outline = modelWithoutWeights(family, settings, name)
  const tensors = weightsIn(file, outline)
  const sum = (f: (tensor: OpenClipTensor) => number) => tensors.reduce((all, tensor) => all + f(tensor), 0)
  return {
    family,
    config: settings,
    ...others,
    parameterCount: sum(({ shape }) => sizeOf(shape)),
    byteCount: sum(tensor => bytesOf(file, tensor)),
    read: async (reading?: ReadTensorsOptions) => {
      // a model of its own for each reading
      const model = modelWithoutWeights(family, settings, name)
      await readWeights(file, model, reading)
      return model.eval()
    },
  } as unknown as { [K in F]: OpenedOpenClip<K> }[F]
}

function jsonOf(text: string, file: string): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    throw error instanceof DataError ? new OpenClipError(error.reason, { file, cause: error }) : error
  }
}

const bytesOf = (file: OpenedSafetensors, { name }: OpenClipTensor): number => {
  const { begin, end } = file.entry(name)
  return end - begin
}

/** Tensors that are read together, in bytes of the file, unless one is larger. */
const TOGETHER = 2 ** 25

const isReading = { onProgress: is.optional(is.callback as is.Kind<NonNullable<ReadTensorsOptions['onProgress']>>) }

async function readWeights(
  file: OpenedSafetensors,
  model: OpenClipModel,
  options: ReadTensorsOptions | undefined,
): Promise<void> {
  const { onProgress } = settle('opened.read(options)', options, isReading satisfies Settings<ReadTensorsOptions>)
  const parameters = new Map<string, Parameter>(model.namedParameters())
  const tensors = weightsIn(file, model).sort((a, b) => file.entry(a.name).begin - file.entry(b.name).begin)
  const count = tensors.reduce((all, tensor) => all + bytesOf(file, tensor), 0)
  let done = 0
  for (const group of groupsOf(file, tensors)) {
    const names = group.map(({ name }) => name)
    const found = await file.tensors(names, { onProgress: more => onProgress?.(done + more, count) })
    done += group.reduce((all, tensor) => all + bytesOf(file, tensor), 0)
    const advice = 'Download or convert the checkpoint again, or use another one'
    checkFinite(found, { file: file.path, advice })
    for (const tensor of group) assign(parameters, tensor, found.get(tensor.name)!)
  }
}

/** Neighbours in the file, up to a size. */
function* groupsOf(file: OpenedSafetensors, tensors: readonly OpenClipTensor[]): Generator<readonly OpenClipTensor[]> {
  let group: OpenClipTensor[] = []
  let bytes = 0
  for (const tensor of tensors) {
    const more = bytesOf(file, tensor)
    if (group.length > 0 && bytes + more > TOGETHER) {
      yield group
      group = []
      bytes = 0
    }
    group.push(tensor)
    bytes += more
  }
  if (group.length > 0) yield group
}

function assign(parameters: ReadonlyMap<string, Parameter>, tensor: OpenClipTensor, { data }: SafetensorsTensor): void {
  // the half precisions have become float32
  const values = data instanceof Float64Array ? new Float32Array(data) : (data as Float32Array)
  scope(() => {
    const whole = fromData(values, tensor.shape as Shape)
    for (const [i, value] of fromOpenClipTensor(tensor, whole).entries()) {
      const parameter = parameters.get(tensor.parameters[i])!
      parameter.assign(value.reshape(parameter.shape))
    }
  }, 'reading a checkpoint')
}
