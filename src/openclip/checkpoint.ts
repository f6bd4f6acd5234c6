// Reads and writes released checkpoints: folders with OpenCLIP's configuration and weights.

import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Tokenizer } from '../data/index.ts'
import {
  checkFinite,
  fileError,
  namesIn,
  openTensors,
  readJson,
  streamSafetensors,
  writeAtomically,
} from '../io/index.ts'
import { DualEncoder, type FamilyModels } from '../models/index.ts'
import type { Parameter } from '../nn/index.ts'
import { copyOf } from '../nn/parameter.ts'
import { deviceOf, keep, scope } from '../tensor/index.ts'
import { settle } from '../tensor/options.ts'
import { piecesOf } from '../tensor/pieces.ts'
import { openClipArchitectures } from './architectures.ts'
import { toClipConfig } from './clip.ts'
import { toOpenClipConfig } from './config.ts'
import { type OpenClipModel, openClipTensors, readOpenClipParameter, toOpenClipTensor } from './names.ts'
import {
  type ConfigContents,
  checkArchitecture,
  modelWithoutWeights,
  OpenClipError,
  type OpenClipFamily,
  type OpenClipOptions,
  openClipOptions,
  readConfig,
  weightsIn,
} from './opening.ts'
import { MEAN, type Preprocessing, STD, writePreprocessing } from './preprocessing.ts'
import { weightReader } from './read-weights.ts'
import { writeTokenizer } from './tokenizer.ts'
import { settingsOf, type TokenizerSettings } from './tokenizer-settings.ts'

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
  const model = modelWithoutWeights(family, config, file)
  await loadOpenClip(weights, model)
  model.eval()
  const others = { preprocessing, weights, tokenizerFiles, tokenizerSettings: found.tokenizerSettings }
  return { family, model, ...others } as unknown as { [K in F]: OpenClip<K> }[F]
}

/** A checkpoint without its weights. */
export interface OpenClipSettings extends Omit<OpenClip, 'family' | 'model'>, ConfigContents {
  /** the file of the configuration; with the name of an architecture, that of the weights */
  readonly file: string
}

/** Reads the configuration of a checkpoint as {@link openClip} does, and the paths of its files. */
export async function readOpenClipSettings(path: string, options?: OpenClipOptions): Promise<OpenClipSettings> {
  const settled = settle('readOpenClipSettings(path, options)', options, openClipOptions)
  const { architecture } = settled
  checkArchitecture(architecture)
  const { folder, names, weights } = await filesAt(path)
  const advice =
    '; give the name of its architecture, such as coca_ViT-B-32 or ViT-B-16-SigLIP: --architecture, or the option architecture'
  const file = architecture ? weights : join(folder, first(names, CONFIGS, folder, advice))
  const json = architecture ? openClipArchitectures[architecture] : await readJson(file)
  const contents = readConfig(json, [settled.family].flat(), file)
  const beside = names.includes('tokenizer.json') ? BESIDE : []
  const tokenizerFiles = [...TOKENIZERS, ...beside].filter(name => names.includes(name)).map(name => join(folder, name))
  return { ...contents, weights, tokenizerFiles, file }
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

/**
 * Opens a file of weights for a model on the current device. Names, shapes and dtypes are checked now; each weight is read from the file
 * when it is first needed, so the file must stay there unchanged.
 * @throws OpenClipError naming tensors that are missing, superfluous, of another shape or not of a floating dtype; when weights are
 *   read, NonFiniteWeightsError naming all with values that are not finite in float32, and DataError if the file has changed
 */
export async function loadOpenClip(path: string, model: OpenClipModel): Promise<void> {
  const file = await openTensors(path)
  const tensors = weightsIn(file, model)
  const parameters = new Map<string, Parameter>(model.namedParameters())
  const read = weightReader(
    file,
    tensors.map(({ name }) => name),
  )
  for (const tensor of tensors)
    for (const [i, name] of tensor.parameters.entries()) {
      const parameter = parameters.get(name)!
      parameter.assignLater(() =>
        readOpenClipParameter(tensor, i, parameter.shape, (shape, rows) => read(tensor.name, shape, rows)),
      )
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
