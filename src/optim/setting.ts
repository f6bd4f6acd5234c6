// Range checks for the settings of optimizers, schedules and clipping.

/** @throws RangeError naming the setting, unless min ≤ value < max */
export function checkSetting(name: string, value: number, min: number, max = Number.POSITIVE_INFINITY): void {
  if (!(value >= min && value < max)) throw new RangeError(`${name} = ${value}: must be in [${min}, ${max})`)
}
