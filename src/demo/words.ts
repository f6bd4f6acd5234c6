// Numbers as text for people.

/** 0.8125 → 81.3 % */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`

/** From 0.8125 to 0.9 → 81.3–90.0 %; from 1 to 1 → 100.0 % */
export function percentRange({ lowest, highest }: { readonly lowest: number; readonly highest: number }): string {
  const [low, high] = [percent(lowest), percent(highest)]
  return low === high ? high : `${low.replace(' %', '')}–${high}`
}

/** 3725 → 1 h 2 min */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
