// What src/tensor/cpu/difference.ts reads: one binary as parts of another and bytes of its own.

/** A run of the first binary that is shorter than this is written out. */
const SHORTEST = 12

/** The number of places with the same bytes that are tried. */
const TRIES = 64

/** The size of `to`, then for each part the start and the length of a run of `from`, the number of bytes of its own, and these. */
export function difference(from: Uint8Array, to: Uint8Array): Uint8Array {
  const key = (bytes: Uint8Array, at: number) => String.fromCharCode(...bytes.subarray(at, at + SHORTEST))
  const places = new Map<string, number[]>()
  for (let i = 0; i + SHORTEST <= from.length; i++) {
    const known = places.get(key(from, i))
    if (known === undefined) places.set(key(from, i), [i])
    else if (known.length < TRIES) known.push(i)
  }
  const out: number[] = []
  const put = (value: number) => {
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      out.push(rest < 128 ? rest : (rest % 128) + 128)
      if (rest < 128) return
    }
  }
  const lengthAt = (start: number, at: number) => {
    let n = 0
    while (start + n < from.length && at + n < to.length && from[start + n] === to[at + n]) n++
    return n
  }
  put(to.length)
  let run = { start: 0, length: lengthAt(0, 0) }
  for (let at = 0; at < to.length; ) {
    const own = at + run.length
    // the bytes of its own end where another run begins
    let end = own
    let following = { start: 0, length: 0 }
    for (; end < to.length; end++) {
      const likely = run.start + run.length + (end - own)
      for (const start of [likely, ...(places.get(key(to, end)) ?? [])]) {
        const length = lengthAt(start, end)
        if (length > following.length) following = { start, length }
      }
      if (following.length >= SHORTEST) break
      following = { start: 0, length: 0 }
    }
    put(run.start)
    put(run.length)
    put(end - own)
    out.push(...to.subarray(own, end))
    at = end
    run = following
  }
  return Uint8Array.from(out)
}
