// Zip archives of stored members for tests, with sizes and positions in 32 bits or in the 64 bits of zip64.

export interface ArchiveOptions {
  /** put sizes, places and the directory's own into zip64 fields */
  readonly wide?: boolean
  /** a member's compression method in the directory; default 0, stored */
  readonly method?: number
}

const numbers = (fields: readonly [bytes: 2 | 4 | 8, value: number][]): Buffer =>
  Buffer.concat(
    fields.map(([bytes, value]) => {
      const field = Buffer.alloc(bytes)
      if (bytes === 8) field.writeBigUInt64LE(BigInt(value))
      else field.writeUIntLE(value, 0, bytes)
      return field
    }),
  )

/** The bytes of an archive. */
export function archive(
  members: Readonly<Record<string, Uint8Array>>,
  { wide = false, method = 0 }: ArchiveOptions = {},
): Buffer {
  const pieces: Buffer[] = []
  const directory: Buffer[] = []
  let place = 0
  const add = (piece: Buffer) => {
    pieces.push(piece)
    place += piece.length
  }
  for (const [path, data] of Object.entries(members)) {
    const name = Buffer.from(path)
    const header = place
    const size = data.length
    // PyTorch pads a member's own header so that its data are aligned
    const padding = Buffer.alloc(5)
    add(numbers([[4, 0x04034b50], [2, 45], [2, 0], [2, 0], [4, 0], [4, 0], [4, size], [4, size], [2, name.length], [2, padding.length]])) // biome-ignore format: one field after the other
    add(Buffer.concat([name, padding, data]))
    const extra = wide
      ? numbers([
          [2, 1],
          [2, 24],
          [8, size],
          [8, size],
          [8, header],
        ])
      : Buffer.alloc(0)
    const [size32, header32] = wide ? [0xffffffff, 0xffffffff] : [size, header]
    directory.push(
      numbers([[4, 0x02014b50], [2, 45], [2, 45], [2, 0], [2, method], [4, 0], [4, 0], [4, size32], [4, size32], [2, name.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, header32]]), // biome-ignore format: one field after the other
      name,
      extra,
    )
  }
  const start = place
  const count = Object.keys(members).length
  add(Buffer.concat(directory))
  const size = place - start
  if (wide) {
    const end = place
    add(
      numbers([
        [4, 0x06064b50],
        [8, 44],
        [2, 45],
        [2, 45],
        [4, 0],
        [4, 0],
        [8, count],
        [8, count],
        [8, size],
        [8, start],
      ]),
    )
    add(
      numbers([
        [4, 0x07064b50],
        [4, 0],
        [8, end],
        [4, 1],
      ]),
    )
  }
  const [count16, size32, start32] = wide ? [0xffff, 0xffffffff, 0xffffffff] : [count, size, start]
  add(
    numbers([
      [4, 0x06054b50],
      [2, 0],
      [2, 0],
      [2, count16],
      [2, count16],
      [4, size32],
      [4, start32],
      [2, 0],
    ]),
  )
  return Buffer.concat(pieces)
}
