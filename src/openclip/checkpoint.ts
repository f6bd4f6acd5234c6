// Reads and writes released checkpoints: folders with OpenCLIP's configuration and weights.

import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Tokenizer } from '../data/index.ts'
import {
  checkFinite,
  DataError,
  fileError,
  namesIn,
  openTensors,
  readJson,
  type SafetensorsTensor,
  streamSafetensors,
  type TensorFile,
  wrapperOf,
  writeAtomically,
} from '../io/index.ts'
import {
  type CoCaConfig,
  createModel,
  DualEncoder,
  type DualEncoderConfig,
  type FamilyModels,
} from '../models/index.ts'
import { ConfigError, type Parameter, StateDictError, withoutAllocation } from '../nn/index.ts'
import { copyOf } from '../nn/parameter.ts'
import { given, listed } from '../tensor/given.ts'
import { deviceOf, keep, sameShape, scope } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { OptionsError, type Settings, settle } from '../tensor/options.ts'
import { piecesOf } from '../tensor/pieces.ts'
import {
  architectureProblem,
  isArchitecture,
  type OpenClipArchitecture,
  openClipArchitectures,
} from './architectures.ts'
import { fromClipConfig, isCoCaConfig, toClipConfig } from './clip.ts'
import { fromOpenClipConfig, toOpenClipConfig } from './config.ts'
import {
  type OpenClipModel,
  type OpenClipTensor,
  openClipTensors,
  readOpenClipParameter,
  toOpenClipTensor,
} from './names.ts'
import { MEAN, type Preprocessing, readPreprocessing, STD, writePreprocessing } from './preprocessing.ts'
import { weightReader } from './read-weights.ts'
import { isRecord } from './settings.ts'
import { settingsOf, type TokenizerSettings, tokenizerSettings, writeTokenizer } from './tokenizer.ts'

/** A checkpoint of OpenCLIP that is incomplete or inconsistent, or whose model is not supported. */
export class OpenClipError extends DataError {}

/** The families of models that OpenCLIP has too: its CLIP is a dual encoder. */
export type OpenClipFamily = 'coca' | 'dual-encoder'

/** A released model with its weights. */
export interface OpenClip<F extends OpenClipFamily = 'coca'> {
  /** the family of the model */
  readonly family: F
  /** in evaluation mode, on the device that was current */
  readonly model: FamilyModels[F]
  /** how the model's images are made from files */
  readonly preprocessing: Preprocessing
  /** the file that its weights were read from */
  readonly weights: string
  /** files of its tokenizer in the same folder, if any */
  readonly tokenizerFiles: readonly string[]
  /** the settings of its tokenizer in `text_cfg`, if any: `hf_tokenizer_name`, `tokenizer_kwargs` and `tokenizer_mode` */
  readonly tokenizerSettings: TokenizerSettings
}

const CONFIG = 'open_clip_config.json'
const WEIGHTS = 'open_clip_model.safetensors'
const CONFIGS = [CONFIG, 'config.json']
// a model.safetensors beside one of the others has the names of Hugging Face
const WEIGHT_FILES = [WEIGHTS, 'weights.safetensors', 'open_clip_pytorch_model.bin', 'model.safetensors']
const TOKENIZERS = ['bpe_simple_vocab_16e6.txt.gz', 'tokenizer.json', 'vocab.json', 'merges.txt']
const BESIDE = ['tokenizer_config.json', 'special_tokens_map.json']
/** The files that {@link saveOpenClip} may write. */
export const OPENCLIP_FILES: readonly string[] = [WEIGHTS, CONFIG, ...TOKENIZERS, ...BESIDE]

/** Options for opening a checkpoint of OpenCLIP. */
export interface OpenClipOptions<F extends OpenClipFamily = OpenClipFamily> {
  /** the family that is expected, or several; default coca */
  readonly family?: F | readonly F[]
  /**
   * OpenCLIP's name for the architecture of weights without a configuration, such as those of a training checkpoint; with it no
   * configuration is read, and the normalisation of the pixels is CLIP's. Default: the configuration beside the weights
   */
  readonly architecture?: OpenClipArchitecture
}
/** Any text: {@link checkArchitecture} says what is wrong with a name. */
export const architectureKind = is.optional(is.text as is.Kind<OpenClipArchitecture>)

/** @throws OpenClipError if a name is not that of an architecture, or that of one that is not supported, with the reason */
export function checkArchitecture(name: OpenClipArchitecture | undefined): void {
  if (name !== undefined && !isArchitecture(name))
    throw new OpenClipError(`architecture ${given(name)} ${architectureProblem(name)}`)
}

const isOpenClipFamily = is.oneOf<OpenClipFamily>('coca', 'dual-encoder')
const openClipOptions = {
  family: is.byDefault<OpenClipFamily | readonly OpenClipFamily[]>(
    'coca',
    new is.Kind(`${isOpenClipFamily.says}, or a list of them`, x =>
      (Array.isArray(x) ? x : [x]).every(isOpenClipFamily.fits),
    ),
  ),
  architecture: architectureKind,
} satisfies Settings<OpenClipOptions>

/**
 * Reads a CoCa of OpenCLIP, or a CLIP, which is a dual encoder: a folder with a configuration (open_clip_config.json or config.json) and weights
 * (such as open_clip_model.safetensors or open_clip_pytorch_model.bin), or the file of the weights in such a folder.
 *
 *     await openClip('logs/run/checkpoints/epoch_10.pt', { architecture: 'coca_ViT-B-32' })
 *     await openClip('CLIP-ViT-B-32', { family: 'dual-encoder' })
 *
 * Weights are read from their file when they are first needed, so that a model of which a part is used takes the memory of this part; the
 * file must stay there unchanged.
 * @throws OpenClipError naming the setting or the tensors that do not fit; DataError if a file is damaged. What {@link loadOpenClip} says of
 *   weights that are read later
 */
export async function openClip<F extends OpenClipFamily = 'coca'>(
  path: string,
  options?: OpenClipOptions<F>,
): Promise<{ [K in F]: OpenClip<K> }[F]> {
  const settings = settle('openClip(path, options)', options as OpenClipOptions, openClipOptions)
  const found = await readOpenClipSettings(path, settings)
  const { family, model: config, preprocessing, weights, tokenizerFiles, file } = found
  const model: OpenClipModel = inFile(file, () => withoutAllocation(() => createModel(family, config as never)))
  await loadOpenClip(weights, model)
  model.eval()
  const others = { preprocessing, weights, tokenizerFiles, tokenizerSettings: found.tokenizerSettings }
  return { family, model, ...others } as unknown as { [K in F]: OpenClip<K> }[F]
}

/** A checkpoint without its weights. */
export interface OpenClipSettings extends Omit<OpenClip, 'family' | 'model'> {
  readonly family: OpenClipFamily
  readonly model: CoCaConfig | DualEncoderConfig
  /** the file of the configuration; with the name of an architecture, that of the weights */
  readonly file: string
}

/** Reads the configuration of a checkpoint as {@link openClip} does, and the paths of its files. */
export async function readOpenClipSettings(path: string, options?: OpenClipOptions): Promise<OpenClipSettings> {
  const settled = settle('readOpenClipSettings(path, options)', options, openClipOptions)
  const { architecture } = settled
  checkArchitecture(architecture)
  const families = [settled.family].flat()
  const { folder, names, weights } = await filesAt(path)
  const advice =
    '; give the name of its architecture, such as coca_ViT-B-32 or ViT-B-16-SigLIP: --architecture, or the option architecture'
  const file = architecture ? weights : join(folder, first(names, CONFIGS, folder, advice))
  const json = architecture ? openClipArchitectures[architecture] : await readJson(file)
  const family = isRecord(json) && !isCoCaConfig(json) ? 'dual-encoder' : 'coca'
  if (!families.includes(family)) {
    const why = family === 'coca' ? 'it has a multimodal_cfg' : 'it has no multimodal_cfg'
    throw new OpenClipError(`is a checkpoint of a ${family}, not of a ${listed(families, 'or')}: ${why}`, { file })
  }
  const model = inFile(file, () => (family === 'coca' ? fromOpenClipConfig(json) : fromClipConfig(json)))
  const preprocessing = inFile(file, () => readPreprocessing(json, model.image.size))
  const beside = names.includes('tokenizer.json') ? BESIDE : []
  const tokenizerFiles = [...TOKENIZERS, ...beside].filter(name => names.includes(name)).map(name => join(folder, name))
  return { family, model, preprocessing, weights, tokenizerFiles, tokenizerSettings: tokenizerSettings(json), file }
}

async function filesAt(path: string): Promise<{ folder: string; names: string[]; weights: string }> {
  let isFolder: boolean
  try {
    isFolder = (await stat(path)).isDirectory()
  } catch (error) {
    throw fileError(path, error)
  }
  const folder = isFolder ? path : dirname(path)
  const names = await namesIn(folder)
  return { folder, names, weights: isFolder ? join(path, first(names, WEIGHT_FILES, folder)) : path }
}

function first(names: readonly string[], wanted: readonly string[], folder: string, advice = ''): string {
  const found = wanted.find(name => names.includes(name))
  if (found === undefined) throw new OpenClipError(`has none of ${wanted.join(', ')}${advice}`, { file: folder })
  return found
}

/** Adds the file to the error of an invalid configuration. */
function inFile<T>(file: string, f: () => T): T {
  try {
    return f()
  } catch (error) {
    const isWrong = error instanceof ConfigError || error instanceof OptionsError
    throw isWrong ? new OpenClipError(error.message, { file, cause: error }) : error
  }
}

/**
 * Opens a file of weights for a model on the current device. Names, shapes and dtypes are checked now; each weight is read from the file
 * when it is first needed, so the file must stay there unchanged.
 * @throws OpenClipError naming tensors that are missing, superfluous, of another shape or not of a floating dtype; when weights are
 *   read, NonFiniteWeightsError naming all with values that are not finite in float32, and DataError if the file has changed
 */
export async function loadOpenClip(path: string, model: OpenClipModel): Promise<void> {
  const file = await openTensors(path)
  const prefix = wrapperOf(file.names)
  // a CLIP with custom_text puts its text tower under a name of its own
  const custom = model instanceof DualEncoder && file.names.includes(`${prefix}text.ln_final.weight`)
  const tensors = openClipTensors(model).map(tensor => {
    if (!(model instanceof DualEncoder) || /^(visual\.|logit_)/.test(tensor.name)) return tensor
    const bare = tensor.name.replace(/^text\./, '')
    return { ...tensor, name: custom ? `text.${bare}` : bare }
  })
  checkNames(file, prefix, tensors)
  const parameters = new Map<string, Parameter>(model.namedParameters())
  const names = tensors.map(({ name }) => prefix + name)
  const read = weightReader(file, names)
  for (const tensor of tensors)
    for (const [i, name] of tensor.parameters.entries()) {
      const parameter = parameters.get(name)!
      parameter.assignLater(() =>
        readOpenClipParameter(tensor, i, parameter.shape, (shape, rows) => read(prefix + tensor.name, shape, rows)),
      )
    }
}

const FLOATING: readonly string[] = ['F16', 'BF16', 'F32', 'F64'] satisfies SafetensorsTensor['dtype'][]

function checkNames(file: TensorFile, prefix: string, tensors: readonly OpenClipTensor[]): void {
  const given = new Set(file.names.map(name => name.slice(prefix.length)))
  const wanted = new Set(tensors.map(({ name }) => name))
  const missing = [...wanted].filter(name => !given.has(name))
  const unexpected = [...given].filter(name => !wanted.has(name))
  const mismatched = tensors
    .filter(({ name }) => given.has(name))
    .map(({ name, shape }) => ({ name, expected: shape, found: file.entry(prefix + name).shape }))
    // a model with nonscalar_logit_scale has a list of one number
    .filter(({ expected, found }) => !sameShape(expected, found) && !(expected.length === 0 && sameShape(found, [1])))
  if (missing.length + unexpected.length + mismatched.length > 0)
    throw new OpenClipError(new StateDictError(missing, unexpected, mismatched).message, { file: file.path })
  for (const { name } of tensors) {
    const { dtype } = file.entry(prefix + name)
    if (!FLOATING.includes(dtype))
      throw new OpenClipError(`tensor '${name}' is ${dtype}, not one of ${FLOATING.join(', ')}`, { file: file.path })
  }
}

/** What {@link saveOpenClip} writes: a result of {@link openClip}, or a model with what belongs to it. */
export interface OpenClipContents extends Partial<Pick<OpenClip, 'preprocessing' | 'tokenizerSettings'>> {
  /** the model */
  readonly model: OpenClipModel
  /** is written too, with its settings: tokenizer.json, and tokenizer_config.json of one that is not CLIP's own */
  readonly tokenizer?: Tokenizer
}

/**
 * Writes a model in OpenCLIP's format: open_clip_model.safetensors and then open_clip_config.json, each atomically. A folder that was not
 * completed has no configuration, and is not opened.
 * @throws ConfigError naming a setting that OpenCLIP does not have; NonFiniteWeightsError for weights that are not finite
 */
export async function saveOpenClip(folder: string, contents: OpenClipContents): Promise<void> {
  const { model, preprocessing, tokenizer } = contents
  const own = model instanceof DualEncoder ? toClipConfig(model.config) : toOpenClipConfig(model.config)
  const words = tokenizer ? settingsOf(tokenizer) : contents.tokenizerSettings
  const settings = { ...own, text_cfg: { ...(own.text_cfg as object), ...words } }
  const file = join(folder, WEIGHTS)
  const pixels = preprocessing ?? { size: model.config.image.size, mean: MEAN, std: STD }
  const config = { model_cfg: settings, preprocess_cfg: writePreprocessing(pixels) }
  const tensors = new Map(openClipTensors(model).map(tensor => [tensor.name, tensor]))
  const layouts = new Map([...tensors].map(([name, { shape }]) => [name, { dtype: 'F32', shape } as const]))
  const parameters = model.stateDict()
  async function* read(name: string) {
    const tensor = tensors.get(name)!
    const own = tensor.parameters.map(path => parameters.get(path)!)
    const whole = scope(() => {
      const stored = toOpenClipTensor(
        tensor,
        own.map(each => (each.isAbsent ? copyOf(each) : each)),
      )
      return keep(stored.isContiguous ? stored : deviceOf(stored).kernels.copy(stored))
    })
    try {
      for await (const data of piecesOf(whole)) {
        checkFinite(new Map([[name, { shape: whole.shape, data: data as Float32Array }]]), { file })
        yield data
      }
    } finally {
      if (!own.some(each => !each.isAbsent && each.storage === whole.storage)) whole.storage.free('it was written')
    }
  }
  await streamSafetensors(file, layouts, read, { format: 'pt' })
  if (tokenizer) await writeTokenizer(folder, tokenizer)
  // the last file: a folder without it is not opened
  await writeAtomically(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`)
}
