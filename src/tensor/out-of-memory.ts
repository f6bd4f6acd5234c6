// The error of a device that has no memory left, with the likely reason.

/** Why there is no memory left. */
export interface MemoryShortage {
  /** name of the device */
  readonly device: string
  /** bytes requested */
  readonly bytes: number
  /** bytes that tensors use, if known */
  readonly used?: number
  /** maximum number of bytes of the device, if known */
  readonly limit?: number
  /** maximum number of bytes of one tensor, if less */
  readonly largest?: number
  /** bytes of tensors in no scope that were made since the garbage collector could last free any */
  readonly uncollected?: number
  /** use of the memory */
  readonly purpose?: string
  /** what to do instead */
  readonly advice?: string
  /** how to get a device with more memory */
  readonly more?: string
}

/** A number of bytes as people read it: `1.5 GiB`. */
export function inUnits(bytes: number): string {
  if (bytes < 2 ** 10) return `${bytes} bytes`
  if (bytes >= 2 ** 50) return `${(bytes / 2 ** 40).toLocaleString('en', { maximumFractionDigits: 0 })} TiB`
  const [unit, size] = bytes < 2 ** 20 ? ['KiB', 2 ** 10] : ['MiB', 2 ** 20]
  return `${(bytes / size).toLocaleString('en', { maximumFractionDigits: 1 })} ${unit}`
}

/** A device has no memory left, or a loop left too many tensors to the garbage collector without letting it run. */
export class OutOfMemoryError extends Error implements MemoryShortage {
  override readonly name = 'OutOfMemoryError'
  /** name of the device */
  readonly device: string
  readonly bytes: number
  readonly used: number
  readonly limit?: number

  constructor({ device, bytes, used: known, limit, largest, uncollected = 0, purpose, advice, more }: MemoryShortage) {
    const isTooLong = largest !== undefined && bytes > largest && bytes <= (limit ?? Number.POSITIVE_INFINITY)
    const help = isTooLong ? `One tensor holds less than ${inUnits(largest)}: compute it in parts` : (advice ?? ADVICE)
    const used = known ?? 0
    const wanted = `${inUnits(bytes)}${purpose === undefined ? '' : ` for ${purpose}`}`
    const most = limit === undefined ? '' : ` of ${inUnits(limit)} at most`
    const found = `${device}: no memory for ${wanted}${known === undefined ? '' : `: ${inUnits(used)} are in use${most}`}`
    // nothing that is freed helps where more is wanted than there is
    const isTooLarge = isTooLong || (limit !== undefined && bytes > limit)
    super(
      uncollected > used / 2 && !isTooLarge
        ? `${found}, and ${inUnits(uncollected)} of them belong to tensors in no scope, made without a pause in which the garbage ` +
            'collector could free them. Put the body of the loop into scope(() => { … }), train with optimizer.minimize(() => loss), ' +
            'or await a read (await loss.item()) in every iteration; call keep(tensor) for tensors that must stay'
        : `${found}. ${help}${more === undefined ? '' : `. ${more}`}`,
    )
    this.device = device
    this.bytes = bytes
    this.used = used
    this.limit = limit
  }
}

const ADVICE = 'Smaller batches need less; scope(() => { … }) frees memory as soon as the function ends'
