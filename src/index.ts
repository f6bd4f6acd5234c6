// cocagrad: the public face. Everything here runs in Node and in browsers; data, training and testing have their own
// entrances (cocagrad/data, cocagrad/train, cocagrad/testing).

export * from './autograd/index.ts'
export * from './debug/index.ts'
export * from './models/index.ts'
export * from './nn/index.ts'
export * from './openclip/model.ts'
export * from './optim/index.ts'
export * from './tensor/index.ts'
