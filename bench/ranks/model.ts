// A model of the time of a step of several ranks: what is computed, as measured, and what is exchanged, by a latency and a bandwidth.

/** Milliseconds of the parts of a step on one rank, and what they depend on. */
export interface StepParts {
  /** examples of the rank, and of the whole batch */
  readonly examples: number
  readonly batch: number
  /** the contrastive loss of its examples with the whole batch, and its gradient */
  readonly contrast: number
  /** that loss of a large batch, divided by the number of its logits in one direction */
  readonly contrastPerPair: number
  /** loss and gradients of its examples */
  readonly gradients: number
  readonly update: number
  /** numbers that are trained, and numbers of an embedding */
  readonly parameters: number
  readonly width: number
}

/** A sum over all ranks. */
export interface Sample {
  readonly bytes: number
  readonly ms: number
}

/** A connection between two ranks. */
export interface Link {
  /** ms until a message arrives */
  readonly latency: number
  /** bytes a ms */
  readonly bandwidth: number
}

/** gradients are summed in pieces of so many bytes */
const PIECE = 4 * 2 ** 20

/** 2 (n - 1) (α + m / (n β)): a ring, on which each of n ranks sends 1/n of m bytes 2 (n - 1) times. */
export const ringTime = (n: number, bytes: number, { latency, bandwidth }: Link): number =>
  2 * (n - 1) * (latency + bytes / (n * bandwidth))

/** 2 log₂ n α + 2 (n - 1) / n · m / β: halves are exchanged and summed, then gathered (Rabenseifner 2004). */
export const halvingTime = (n: number, bytes: number, { latency, bandwidth }: Link): number =>
  2 * Math.ceil(Math.log2(n)) * latency + (2 * (n - 1) * bytes) / (n * bandwidth)

/** The faster of the two for the gradients, in pieces. */
export function sumTime(n: number, bytes: number, link: Link): number {
  const pieces = Math.ceil(bytes / PIECE)
  return pieces * Math.min(...[ringTime, halvingTime].map(time => time(n, bytes / pieces, link)))
}

/** Each rank receives the embeddings of all others. */
export const gatherTime = (n: number, bytes: number, { latency, bandwidth }: Link): number =>
  Math.ceil(Math.log2(n)) * latency + ((n - 1) / n) * (bytes / bandwidth)

/**
 * The latency and the bandwidth with which the formula of a ring is nearest to measured sums of n ranks: the least squares of the relative
 * errors.
 */
export function fitLink(n: number, sums: readonly Sample[]): Link {
  // time = a + b · bytes, weighted by 1 / time²
  const [s, x, y, xx, xy] = sums.reduce(
    ([s, x, y, xx, xy], { bytes, ms }) => {
      const w = 1 / (ms * ms)
      return [s + w, x + w * bytes, y + w * ms, xx + w * bytes * bytes, xy + w * bytes * ms]
    },
    [0, 0, 0, 0, 0],
  )
  const b = (s * xy - x * y) / (s * xx - x * x)
  const a = (y - b * x) / s
  return { latency: Math.max(a, 0) / (2 * (n - 1)), bandwidth: (2 * (n - 1)) / (n * b) }
}

/** Milliseconds of a step. */
export interface Prediction {
  readonly contrast: number
  readonly gradients: number
  readonly update: number
  readonly gather: number
  readonly sum: number
  /** one after the other */
  readonly total: number
  /** if the gradients are summed during the backward pass, two thirds of `gradients`, as far as that is long enough */
  readonly overlapped: number
}

/** The time of a step of n ranks whose parts were measured. */
export function predict(n: number, parts: StepParts, link: Link): Prediction {
  const { gradients, update, batch, width, parameters } = parts
  const contrast = n > 1 ? parts.contrast : 0
  // embeddings of images and texts, and two sums of each row
  const gather = n > 1 ? 2 * gatherTime(n, 4 * batch * width, link) + gatherTime(n, 8 * batch, link) : 0
  const sum = n > 1 ? sumTime(n, 4 * parameters, link) : 0
  const without = contrast + gradients + update + gather
  const hidden = Math.min(sum, (2 / 3) * gradients)
  return { contrast, gradients, update, gather, sum, total: without + sum, overlapped: without + sum - hidden }
}

/**
 * The parts on a node that computes `speed` times as fast, for another batch of n nodes: in proportion to the examples, the contrastive loss
 * to the examples of a node times those of the batch, the update the same for all.
 */
export function scaled(parts: StepParts, n: number, batch: number, speed: number): StepParts {
  const examples = batch / n
  const more = examples / parts.examples / speed
  return {
    ...parts,
    examples,
    batch,
    gradients: parts.gradients * more,
    update: parts.update / speed,
    contrast: (parts.contrastPerPair / speed) * batch * examples,
  }
}
