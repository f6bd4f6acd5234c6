// The error of a device that has no memory left, with what is known about why.

export interface MemoryShortage {
  readonly device: string
  /** bytes asked for */
  readonly bytes: number
  /** bytes that live tensors hold */
  readonly used: number
  /** bytes that the device could ever have, where that is known */
  readonly limit?: number
  /** bytes of tensors in no scope, made since the garbage collector could last give any back */
  readonly uncollected: number
}

const mebibytes = (bytes: number): string =>
  `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 1 })} MiB`

/** A device has no memory left, or a loop that leaves all its tensors to the garbage collector and never lets it run was stopped. */
export class OutOfMemoryError extends Error implements MemoryShortage {
  override readonly name = 'OutOfMemoryError'
  readonly device: string
  readonly bytes: number
  readonly used: number
  readonly limit?: number
  readonly uncollected: number

  constructor({ device, bytes, used, limit, uncollected }: MemoryShortage) {
    const found = `${device}: no memory for ${mebibytes(bytes)}: ${mebibytes(used)} are in use${limit === undefined ? '' : ` of ${mebibytes(limit)} at most`}`
    super(
      uncollected > used / 2
        ? `${found}, and ${mebibytes(uncollected)} of them belong to tensors in no scope, made without a pause in which the garbage ` +
            'collector could give them back. Put the body of the loop into scope(() => { … }), train with optimizer.minimize(() => loss), ' +
            'or await a read (await loss.item()) in every turn; keep(tensor) says that a tensor is meant to stay'
        : `${found}. Smaller batches need less; inside scope(() => { … }) memory is given back as soon as the function ends`,
    )
    this.device = device
    this.bytes = bytes
    this.used = used
    this.limit = limit
    this.uncollected = uncollected
  }
}
