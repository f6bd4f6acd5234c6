// A process that trains and is killed by a test: node … child.ts <run folder> <config file>

import { existsSync } from 'node:fs'
import { readRunConfig, resumeTraining, train } from '../../src/train/index.ts'

const [folder, file] = process.argv.slice(2)
const options = { onStep: ({ step }: { step: number }) => console.log(step) }
if (existsSync(folder)) await resumeTraining(folder, options)
else await train(folder, await readRunConfig(file), options)
