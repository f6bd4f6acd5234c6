// The second of two binaries that are almost equal, from the first and their difference: a list of parts, each a run of bytes of
// the first and the bytes that follow. scripts/difference.ts writes it.

/** @param from the first binary */
export function patched(from: Uint8Array, difference: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 0
  /** seven bits a byte, the lowest first; the eighth says that another follows */
  const next = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = difference[at++]
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
  }
  const to = new Uint8Array(next())
  for (let end = 0; end < to.length; ) {
    const [start, copied, own] = [next(), next(), next()]
    to.set(from.subarray(start, start + copied), end)
    to.set(difference.subarray(at, at + own), end + copied)
    at += own
    end += copied + own
  }
  return to
}
