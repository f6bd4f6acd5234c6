// Times the training step of bench/model.ts in TensorFlow.js; the last line is JSON.
//
//     npx tsx bench/peers/tfjs-step.ts --size small --threads 2

import { startTfjs } from './tfjs-start.ts'
import { tfjsTraining } from './tfjs-training.ts'
import { stepFlags, timeSteps } from './timing.ts'
import { readStart } from './weights.ts'

const flags = stepFlags()
if (flags.backend !== 'wasm' && flags.backend !== 'cpu') throw new RangeError(`--backend ${flags.backend}: wasm or cpu`)
const version = await startTfjs(flags.backend, flags.threads)
const { step, parameters } = await tfjsTraining(await readStart(flags.weights))
await timeSteps(flags, { peer: `tfjs-${flags.backend}`, version, params: parameters }, step)
// otherwise its workers would wait for more work
process.exit(0)
