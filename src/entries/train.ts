// cocagrad/train: runs, released checkpoints, and what they are worth.

export * from '../doctor/index.ts'
export * from '../evaluate/index.ts'
export * from '../mpi/index.ts'
export * from '../openclip/index.ts'
export * from '../train/index.ts'
