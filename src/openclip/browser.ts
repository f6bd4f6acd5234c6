// The part of openclip that opens checkpoints in a browser.

export { type OpenClipArchitecture, openClipArchitectureNames } from './architectures.ts'
export {
  type OpenClipFiles,
  type OpenedOpenClip,
  type OpenOpenClipOptions,
  openOpenClip,
} from './open.ts'
export { OpenClipError, type OpenClipFamily, type OpenClipOptions } from './opening.ts'
export type { Preprocessing } from './preprocessing.ts'
export {
  type OpenClipTokenizerSource,
  type ParseOpenClipTokenizerOptions,
  parseOpenClipTokenizer,
  type TokenizerSettings,
} from './tokenizer-settings.ts'
