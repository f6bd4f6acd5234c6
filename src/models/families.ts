// The families of models that learn from images: CoCa; the dual encoder, the encoder-decoder and the single encoder, which CoCa
// unifies (CoCa, section 3.1); and two classifiers for tasks after pretraining (section 4.2). Their configurations are in config.ts.

import { Captioner } from './captioner.ts'
import { ImageClassifier } from './classifier.ts'
import { CoCa } from './coca.ts'
import { type FamilyConfigs, type FamilyName, familyConfigs } from './config.ts'
import { DualEncoder } from './dual-encoder.ts'
import { MultimodalClassifier } from './multimodal-classifier.ts'
import { type PresetName, presets } from './presets.ts'
import { VideoClassifier } from './video-classifier.ts'

/** The class of each family. */
export interface FamilyModels {
  /** images and texts in one space, and captions */
  readonly coca: CoCa
  /** images and texts in one space */
  readonly 'dual-encoder': DualEncoder
  /** captions of images */
  readonly captioner: Captioner
  /** classes of images */
  readonly classifier: ImageClassifier
  /** classes of clips */
  readonly 'video-classifier': VideoClassifier
  /** classes of images with a text */
  readonly 'multimodal-classifier': MultimodalClassifier
}

/** The names of the families. */
export const familyNames = Object.keys(familyConfigs) as readonly FamilyName[]

const constructors: { readonly [F in FamilyName]: (config: FamilyConfigs[F]) => FamilyModels[F] } = {
  coca: config => new CoCa(config),
  'dual-encoder': config => new DualEncoder(config),
  captioner: config => new Captioner(config),
  classifier: config => new ImageClassifier(config),
  'video-classifier': config => new VideoClassifier(config),
  'multimodal-classifier': config => new MultimodalClassifier(config),
}

/**
 * Creates a model of a family.
 * @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid
 */
export const createModel = <F extends FamilyName>(family: F, config: FamilyConfigs[F]): FamilyModels[F] =>
  constructors[family](config)

/**
 * The part of a configuration of one family that another family has settings for, without the number of classes, and without the
 * weights of losses, unless it is the same family.
 * @param source the family of the configuration
 */
export function settingsFor(family: FamilyName, config: object, source: FamilyName = 'coca'): Record<string, unknown> {
  const left = ['classes', ...(family === source ? [] : ['loss'])]
  const names = Object.keys(familyConfigs[family].settings).filter(name => !left.includes(name))
  return Object.fromEntries(Object.entries(config).filter(([name]) => names.includes(name)))
}

/** A preset for a family: that of a CoCa, without the settings that the family does not have. A classifier's has no `classes`. */
export const presetFor = (family: FamilyName, preset: PresetName): Record<string, unknown> =>
  settingsFor(family, presets[preset])
