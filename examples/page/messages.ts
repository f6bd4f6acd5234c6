// What the page and the thread that trains say to each other.

/** ends the training after the step that is being computed */
export type Request = 'stop'

export type Report =
  | { readonly kind: 'step'; readonly step: number; readonly loss: number }
  /** the weights as a file of safetensors */
  | { readonly kind: 'end'; readonly steps: number; readonly weights: Blob }
