// Warnings: what a program should hear of and need not stop for.

/**
 * Tells of something that is likely a mistake: as a warning of the process in Node (`process.on('warning', …)`), on the
 * console elsewhere. Never throws.
 * @param type says what kind of warning it is, as `GradientWarning`
 */
export function warn(message: string, type: string): void {
  if (typeof process === 'object' && typeof process.emitWarning === 'function') process.emitWarning(message, type)
  else console.warn(`${type}: ${message}`)
}
