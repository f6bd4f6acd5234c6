// The compiled filters of pictures, as base64, and their signatures. Made of assembly/ by `npm run -s build:kernels`, not by hand.

/** WebAssembly with SIMD. */
export const filtersModule =
  'AGFzbQEAAAABFQJgBX9/f39/AGAJf39/f39/f39/AAMDAgABBQYBAQGAgAQHGgMGYWNyb3NzAAEEZG93bgAABm1lbW9yeQIACu4DAo8CAgN/CXsgBEECdCADaiEHA0AgAiAFSgRA/QwAACAAAAAgAAAAIAAAACAAIgghCf0MAAAgAAAAIAAAACAAAAAgACEK/QwAACAAAAAgAAAAIAAAACAAIQsgAyEEIAEgBWohBgNAIAQgB0kEQCAIIAT9CQIAIgwgBv0ABAAiD/2JASIO/akB/bUB/a4BIQggCSAMIA79qgH9tQH9rgEhCSAKIAwgD/2KASIQ/akB/bUB/a4BIQogCyAMIBD9qgH9tQH9rgEhCyAEQQRqIQQgAiAGaiEGDAELCyAAIAVqIAhBFv2sASAJQRb9rAH9hQEgCkEW/awBIAtBFv2sAf2FAf1m/QsEACAFQRBqIQUMAQsLC9oBAgN7B38DQCACIA9KBEAgByENQQAhDgNAIAQgDkoEQCAOQQJ0IhIgBWooAgAgAWohECAGIBJqKAIAQQJ0IA1qIRH9DAAAIAAAACAAAAAgAAAAIAAhCSANIQwDQCAMIBFJBEAgCSAM/QkCACAQ/VwCAP2JAf2pAf21Af2uASEJIAxBBGohDCAQQQNqIRAMAQsLIAAgCUEW/awBIgogCv2FASILIAv9Zv1aAgAAIA5BAWohDiAIQQJ0IA1qIQ0gAEEDaiEADAELCyAPQQFqIQ8gASADaiEBDAELCws='

/** What the module exports: addresses are in bytes. */
export interface Filters {
  across(out: number, rows: number, height: number, rowBytes: number, columns: number, first: number, counts: number, weights: number, taps: number): void
  down(out: number, rows: number, rowBytes: number, weights: number, count: number): void
}
