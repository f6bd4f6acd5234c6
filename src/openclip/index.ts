// OpenCLIP's checkpoints: conversion of configurations and names, reading and writing of folders, and the comparison of a
// model's results with those of another implementation.

export { architectureProblem, isArchitecture } from './architectures.ts'
export * from './browser.ts'
export { loadOpenClip, type OpenClip, type OpenClipContents, openClip, saveOpenClip } from './checkpoint.ts'
export { GoldenError } from './golden.ts'
export * from './model.ts'
export { type AgreementCheck, agreement } from './verify.ts'
export { EncoderError, type EncoderSettings, type OpenedEncoder, openEncoder, PretrainedEncoder } from './vision.ts'
