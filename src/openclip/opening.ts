// What a checkpoint of OpenCLIP must have, wherever its files are: its settings, and the names, shapes and dtypes of its tensors. Runs in a
// browser.

import { DataError, type SafetensorsDtype, type SafetensorsLayout, wrapperOf } from '../io/browser.ts'
import { type CoCaConfig, createModel, DualEncoder, type DualEncoderConfig } from '../models/index.ts'
import { ConfigError, StateDictError, withoutAllocation } from '../nn/index.ts'
import { given, listed } from '../tensor/given.ts'
import { sameShape } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { OptionsError, type Settings } from '../tensor/options.ts'
import { architectureProblem, isArchitecture, type OpenClipArchitecture } from './architectures.ts'
import { fromClipConfig, isCoCaConfig } from './clip.ts'
import { fromOpenClipConfig } from './config.ts'
import { type OpenClipModel, type OpenClipTensor, openClipTensors } from './names.ts'
import { type Preprocessing, readPreprocessing } from './preprocessing.ts'
import { isRecord } from './settings.ts'
import { type TokenizerSettings, tokenizerSettings } from './tokenizer-settings.ts'

/** A checkpoint of OpenCLIP that is incomplete or inconsistent, or whose model is not supported. */
export class OpenClipError extends DataError {}

/** The families of models that OpenCLIP has too: its CLIP is a dual encoder. */
export type OpenClipFamily = 'coca' | 'dual-encoder'

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
export const openClipOptions = {
  family: is.byDefault<OpenClipFamily | readonly OpenClipFamily[]>(
    'coca',
    new is.Kind(`${isOpenClipFamily.says}, or a list of them`, x =>
      (Array.isArray(x) ? x : [x]).every(isOpenClipFamily.fits),
    ),
  ),
  architecture: architectureKind,
} satisfies Settings<OpenClipOptions>

/** What a configuration says. */
export interface ConfigContents {
  readonly family: OpenClipFamily
  readonly model: CoCaConfig | DualEncoderConfig
  readonly preprocessing: Preprocessing
  readonly tokenizerSettings: TokenizerSettings
}

/**
 * Reads the JSON of a configuration.
 * @param families those that are expected
 * @param file its name in errors
 * @throws OpenClipError for another family, and naming a setting that is missing, invalid, unknown or not supported
 */
export function readConfig(json: unknown, families: readonly OpenClipFamily[], file: string): ConfigContents {
  const family = isRecord(json) && !isCoCaConfig(json) ? 'dual-encoder' : 'coca'
  if (!families.includes(family)) {
    const why = family === 'coca' ? 'it has a multimodal_cfg' : 'it has no multimodal_cfg'
    throw new OpenClipError(`is a checkpoint of a ${family}, not of a ${listed(families, 'or')}: ${why}`, { file })
  }
  const model = inFile(file, () => (family === 'coca' ? fromOpenClipConfig(json) : fromClipConfig(json)))
  const preprocessing = inFile(file, () => readPreprocessing(json, model.image.size))
  return { family, model, preprocessing, tokenizerSettings: tokenizerSettings(json) }
}

/** The model of a configuration, whose parameters have no values yet. @throws OpenClipError naming a setting that makes no model */
export const modelWithoutWeights = (family: OpenClipFamily, config: ConfigContents['model'], file: string) =>
  inFile(file, () => withoutAllocation(() => createModel(family, config as never))) as OpenClipModel

/** Adds the file to the error of an invalid configuration. */
function inFile<T>(file: string, f: () => T): T {
  try {
    return f()
  } catch (error) {
    const isWrong = error instanceof ConfigError || error instanceof OptionsError
    throw isWrong ? new OpenClipError(error.message, { file, cause: error }) : error
  }
}

/** A file of tensors whose names, shapes and dtypes are known. */
export interface TensorNames {
  readonly path: string
  readonly names: readonly string[]
  entry(name: string): SafetensorsLayout
}

/**
 * The tensors of a file that hold a model's weights, by their names in the file.
 * @throws OpenClipError naming tensors that are missing, superfluous, of another shape or not of a floating dtype
 */
export function weightsIn(file: TensorNames, model: OpenClipModel): OpenClipTensor[] {
  const prefix = wrapperOf(file.names)
  // a CLIP with custom_text puts its text tower under a name of its own
  const custom = model instanceof DualEncoder && file.names.includes(`${prefix}text.ln_final.weight`)
  const tensors = openClipTensors(model).map(tensor => {
    if (!(model instanceof DualEncoder) || /^(visual\.|logit_)/.test(tensor.name)) return tensor
    const bare = tensor.name.replace(/^text\./, '')
    return { ...tensor, name: custom ? `text.${bare}` : bare }
  })
  checkNames(file, prefix, tensors)
  return tensors.map(tensor => ({ ...tensor, name: prefix + tensor.name }))
}

const FLOATING: readonly string[] = ['F16', 'BF16', 'F32', 'F64'] satisfies SafetensorsDtype[]

function checkNames(file: TensorNames, prefix: string, tensors: readonly OpenClipTensor[]): void {
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
