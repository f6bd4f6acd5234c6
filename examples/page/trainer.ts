// Trains in a worker, so that the page stays responsive, and reports every step. `fit` returns to the event loop after
// each step: the message of the page comes in, and ends the training.

import { AdamW, crossEntropy, device, Linear, Module, seed, type Tensor, tensor } from 'cocagrad'
import { encodeSafetensors, toSafetensors } from 'cocagrad/data'
import { fit } from 'cocagrad/fit'
import type { Report, Request } from './messages.ts'

class Perceptron extends Module {
  hidden = new Linear(2, 16)
  output = new Linear(16, 2)

  /** points [batch, 2] → logits [batch, 2] */
  forward(points: Tensor): Tensor {
    return this.output.forward(this.hidden.forward(points).tanh())
  }
}

const post = (report: Report) => globalThis.postMessage(report)
const controller = new AbortController()
globalThis.onmessage = ({ data }: MessageEvent<Request>) => {
  if (data === 'stop') controller.abort()
}

await device.use('cpu') // with threads, if the page is cross-origin isolated
seed(0)
const model = new Perceptron()
const angles = Array.from({ length: 200 }, (_, i) => (Math.PI * i) / 200)
const points = tensor([
  ...angles.map(angle => [Math.cos(angle), Math.sin(angle)]),
  ...angles.map(angle => [1 - Math.cos(angle), 0.5 - Math.sin(angle)]),
])
const labels = tensor([...angles.map(() => 0), ...angles.map(() => 1)], { dtype: 'int32' })

const { step } = await fit({
  objective: { model, loss: ({ points, labels }) => crossEntropy(model.forward(points), labels) },
  batches: [{ points, labels }],
  optimizer: new AdamW(model, { learningRate: 0.03 }),
  steps: 2000,
  signal: controller.signal,
  onStep: ({ step, losses }) => post({ kind: 'step', step, loss: losses.total }),
})
post({ kind: 'end', steps: step, weights: new Blob(encodeSafetensors(await toSafetensors(model.stateDict()))) })
