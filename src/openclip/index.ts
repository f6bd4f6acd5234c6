// OpenCLIP's checkpoints: conversion of configurations and names, reading and writing of folders, and the comparison of a
// model's results with those of another implementation.

export { loadOpenClip, type OpenClip, OpenClipError, openClip, type Preprocessing, saveOpenClip } from './checkpoint.ts'
export { GoldenError } from './golden.ts'
export * from './model.ts'
export { type AgreementCheck, agreement } from './verify.ts'
