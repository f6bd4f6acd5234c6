// Warnings about likely mistakes that do not stop a program.

/**
 * Reports a likely mistake: as a warning of the process in Node (`process.on('warning', …)`), on the console elsewhere. Never
 * throws.
 * @param type name of the kind of warning, such as `GradientWarning`
 */
export function warn(message: string, type: string): void {
  if (typeof process === 'object' && typeof process.emitWarning === 'function') process.emitWarning(message, type)
  else console.warn(`${type}: ${message}`)
}
