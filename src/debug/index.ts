// Looking inside of a program that computes: where its time goes, and where its numbers stop being numbers.

export { firstNonFinite, type NonFiniteOperation, type NonFiniteOptions, type OperationInput } from './non-finite.ts'
export { type Profile, type ProfileLine, type ProfileOptions, profile } from './profile.ts'
