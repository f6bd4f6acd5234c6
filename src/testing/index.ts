// The testing room: what the operations here are tested with, for whoever makes operations of their own. It is the one
// room that needs fast-check.

export * from './arbitraries.ts'
export * from './gradients.ts'
