// Resizing and turning in plain JavaScript, for machines without sharp. Shrinking without a low-pass filter makes
// patterns that are not in the picture (aliasing); here the filter widens with the shrinking factor, so every input
// pixel counts.

/** Pixels row by row, three bytes each: [height, width, 3]. */
export interface RgbImage {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/**
 * Undoes an EXIF orientation, so that the picture stands upright.
 * @param orientation 1 to 8 (Exif 2.3, 4.6.4, tag 0x0112): 1 to 4 keep rows as rows, 5 to 8 exchange rows and columns
 */
export function orient(image: RgbImage, orientation: number): RgbImage {
  if (orientation === 1) return image
  const { width, height, data } = image
  const swapped = orientation >= 5
  const turned = {
    width: swapped ? height : width,
    height: swapped ? width : height,
    data: new Uint8Array(data.length),
  }
  const flipX = [2, 3, 7, 8].includes(orientation)
  const flipY = [3, 4, 6, 7].includes(orientation)
  for (let y = 0; y < turned.height; y++)
    for (let x = 0; x < turned.width; x++) {
      const [across, down] = swapped ? [y, x] : [x, y]
      const sourceX = flipX ? width - 1 - across : across
      const sourceY = flipY ? height - 1 - down : down
      const from = (sourceY * width + sourceX) * 3
      const to = (y * turned.width + x) * 3
      for (let c = 0; c < 3; c++) turned.data[to + c] = data[from + c]
    }
  return turned
}

/**
 * Scales the shorter side to `size` and keeps the central square: [height, width, 3] to [size, size, 3].
 * An image whose shorter side has that size already is cropped, not filtered.
 */
export function resizeToSquare(image: RgbImage, size: number): RgbImage {
  const { width, height, data } = image
  if (width === size && height === size) return image
  const scale = size / Math.min(width, height)
  const columns = filterTaps(width, Math.round(width * scale), size)
  const rows = filterTaps(height, Math.round(height * scale), size)

  const narrow = new Float32Array(height * size * 3) // [height, size, 3]
  for (let y = 0; y < height; y++)
    for (let x = 0; x < size; x++) {
      const { first, weights } = columns[x]
      for (let c = 0; c < 3; c++) {
        let sum = 0
        for (let k = 0; k < weights.length; k++) sum += weights[k] * data[(y * width + first + k) * 3 + c]
        narrow[(y * size + x) * 3 + c] = sum
      }
    }

  const square = new Uint8Array(size * size * 3)
  for (let y = 0; y < size; y++) {
    const { first, weights } = rows[y]
    for (let i = 0; i < size * 3; i++) {
      let sum = 0
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * size * 3 + i]
      square[y * size * 3 + i] = Math.min(255, Math.max(0, Math.round(sum)))
    }
  }
  return { width: size, height: size, data: square }
}

interface Taps {
  readonly first: number
  readonly weights: Float64Array
}

/** `length` inputs scaled to `scaled` outputs: which inputs the central `size` outputs are made of. */
function filterTaps(length: number, scaled: number, size: number): Taps[] {
  const cropped = Math.ceil((scaled - size) / 2)
  const step = length / scaled
  const stretch = Math.max(1, step)
  return Array.from({ length: size }, (_, i) => {
    const centre = (cropped + i + 0.5) * step - 0.5
    const first = Math.max(0, Math.ceil(centre - 2 * stretch))
    const last = Math.min(length - 1, Math.floor(centre + 2 * stretch))
    const weights = Float64Array.from({ length: last - first + 1 }, (_, k) =>
      catmullRom((first + k - centre) / stretch),
    )
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return { first, weights: weights.map(weight => weight / total) }
  })
}

/** The cubic convolution kernel with a = -1/2 (Keys 1981, "Cubic convolution interpolation"). */
function catmullRom(x: number): number {
  const t = Math.abs(x)
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2
  return 0
}
