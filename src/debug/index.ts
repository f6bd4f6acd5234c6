// Tools for debugging: a profiler of kernels, and a search for the first operation with NaN or infinity.

export { firstNonFinite, type NonFiniteOperation, type NonFiniteOptions, type OperationInput } from './non-finite.ts'
export { type Profile, type ProfileLine, type ProfileOptions, profile } from './profile.ts'
