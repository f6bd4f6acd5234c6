// Times the training step of bench/model.ts in jax-js; its last line is JSON.
//
//     npx tsx bench/peers/jax-step.ts --size small --threads 2

import { jaxVersion, startJax } from './jax-start.ts'
import { jaxTraining } from './jax-training.ts'
import { stepFlags, timeSteps } from './timing.ts'
import { readStart } from './weights.ts'

const flags = stepFlags()
const { step, parameters } = await jaxTraining(await startJax(flags.threads), await readStart(flags.weights))
await timeSteps(flags, { peer: 'jax-js', version: jaxVersion(), params: parameters }, step)
// otherwise its workers would wait for more work
process.exit(0)
