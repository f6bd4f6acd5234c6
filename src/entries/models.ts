// cocagrad/models: the models, and OpenCLIP's as they are.

export * from '../models/index.ts'
export * from '../openclip/browser.ts'
export * from '../openclip/model.ts'
