// OpenCLIP's checkpoints: its configurations and names, folders that are read and written, and the check that a model computes
// here what it computed there.

export { loadOpenClip, type OpenClip, OpenClipError, openClip, type Preprocessing, saveOpenClip } from './checkpoint.ts'
export { GoldenError } from './golden.ts'
export * from './model.ts'
export { type AgreementCheck, agreement } from './verify.ts'
