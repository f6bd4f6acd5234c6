// Numbers and times as text.

/** 1843200 → 1.8 MB */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 9.95e6 ? 1 : 0)} MB`

/** 1 → 1 checkpoint */
export const checkpoints = (count: number): string => `${count} ${count === 1 ? 'checkpoint' : 'checkpoints'}`

/** When a run began, by the identity that begins with the time. */
export function timeOf(id: string): string {
  const time = new Date(id.split(' ')[0])
  return time.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}
