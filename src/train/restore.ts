// Restores what the examination of a model changes: the mode of each module, and the program's random numbers.

import type { Module } from '../nn/index.ts'
import { defaultGenerator } from '../tensor/index.ts'

/** Returns a function that restores the mode of every module of a model, and the position of the default generator. */
export function restorer(model: Module): () => void {
  const modes = new Map<Module, boolean>()
  model.apply(module => void modes.set(module, module.training))
  const { position } = defaultGenerator().state
  return () => {
    for (const [module, training] of modes) module.training = training
    defaultGenerator().seek(position)
  }
}
