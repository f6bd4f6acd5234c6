// What the one-file builds for pages export: cocagrad, cocagrad/data in a browser and cocagrad/fit. An import map leads all three
// names to one file, so that they share their devices. Two names mean something else in cocagrad/data: here they are those of cocagrad.

export * from '../index.ts'
export { normalize, type Shape } from '../index.ts'
export * from './data-browser.ts'
export { normalize as normalizePixels, type Shape as ShapeName } from './data-browser.ts'
export * from './fit.ts'
