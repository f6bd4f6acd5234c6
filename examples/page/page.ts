// A page that watches a model learn: it computes nothing itself, and stops the training when it is asked to.

import type { Report, Request } from './messages.ts'

const worker = new Worker(new URL('./trainer.ts', import.meta.url), { type: 'module' })
const status = document.querySelector('p') as HTMLElement
const button = document.querySelector('button') as HTMLButtonElement

worker.onmessage = ({ data }: MessageEvent<Report>) => {
  status.textContent =
    data.kind === 'step'
      ? `Step ${data.step}: loss ${data.loss.toFixed(4)}`
      : `${data.steps} steps; the weights take ${data.weights.size} bytes.`
}
worker.onerror = ({ message }) => {
  status.textContent = `The thread failed: ${message}`
}
button.onclick = () => worker.postMessage('stop' satisfies Request)
