// The families of models that learn from images: CoCa, and the dual encoder, the encoder-decoder and the single encoder, which CoCa
// unifies (CoCa, section 3.1). Their configurations are in config.ts.

import { Captioner } from './captioner.ts'
import { ImageClassifier } from './classifier.ts'
import { CoCa } from './coca.ts'
import { type FamilyConfigs, type FamilyName, familyConfigs } from './config.ts'
import { DualEncoder } from './dual-encoder.ts'
import { type PresetName, presets } from './presets.ts'

/** The class of each family. */
export interface FamilyModels {
  readonly coca: CoCa
  readonly 'dual-encoder': DualEncoder
  readonly captioner: Captioner
  readonly classifier: ImageClassifier
}

/** The names of the families. */
export const familyNames = Object.keys(familyConfigs) as readonly FamilyName[]

const constructors: { readonly [F in FamilyName]: (config: FamilyConfigs[F]) => FamilyModels[F] } = {
  coca: config => new CoCa(config),
  'dual-encoder': config => new DualEncoder(config),
  captioner: config => new Captioner(config),
  classifier: config => new ImageClassifier(config),
}

/**
 * Creates a model of a family.
 * @throws OptionsError, ConfigError naming a setting that is unknown, missing or invalid
 */
export const createModel = <F extends FamilyName>(family: F, config: FamilyConfigs[F]): FamilyModels[F] =>
  constructors[family](config)

/** The part of a configuration, such as that of a CoCa, that a family has settings for, without the number of classes. */
export function settingsFor(family: FamilyName, config: object): Record<string, unknown> {
  const names = Object.keys(familyConfigs[family].settings).filter(name => name !== 'classes')
  return Object.fromEntries(Object.entries(config).filter(([name]) => names.includes(name)))
}

/** A preset for a family: that of a CoCa, without the settings that the family does not have. A classifier's has no `classes`. */
export const presetFor = (family: FamilyName, preset: PresetName): Record<string, unknown> =>
  settingsFor(family, presets[preset])
