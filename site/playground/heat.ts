// Colours of values.

/** Weights from dark to light, readable over both colour schemes (sampled from the colour map inferno). */
const LIGHT = [
  [8, 6, 30],
  [66, 10, 104],
  [147, 38, 103],
  [221, 81, 58],
  [252, 165, 10],
  [252, 255, 164],
] as const

/** @param share 0 to 1 */
export function light(share: number): readonly [number, number, number] {
  const place = Math.min(1, Math.max(0, share)) * (LIGHT.length - 1)
  const i = Math.min(LIGHT.length - 2, Math.floor(place))
  const mix = (c: number) => LIGHT[i][c] + (place - i) * (LIGHT[i + 1][c] - LIGHT[i][c])
  return [mix(0), mix(1), mix(2)]
}

/** From blue (negative) over the middle (zero) to orange (positive). @param share -1 to 1 */
export function signed(share: number, isDark: boolean): readonly [number, number, number] {
  if (Number.isNaN(share)) return [255, 0, 255]
  const middle = isDark ? [32, 33, 39] : [246, 246, 247]
  const end = share < 0 ? (isDark ? [110, 170, 255] : [20, 80, 190]) : isDark ? [255, 160, 90] : [190, 75, 10]
  // small values can be told from zero
  const t = Math.sqrt(Math.min(1, Math.abs(share)))
  const mix = (c: number) => middle[c] + t * (end[c] - middle[c])
  return [mix(0), mix(1), mix(2)]
}
