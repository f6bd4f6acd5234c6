// Patterns of paths.

/**
 * Whether a path fits a pattern, in which * stands for one part between dots, and ** for any number of parts. A pattern without them is a
 * path; spaces around it do not count.
 *
 *     matcherOf('encoder.blocks.*.attention')('encoder.blocks.1.attention')     // true
 */
export function matcherOf(pattern: string): (path: string) => boolean {
  const text = pattern
    .trim()
    .replace(/[\\^$+?()[\]{}|.]/g, '\\$&')
    .replace(/\*\*|\*/g, stars => (stars === '**' ? '.*' : '[^.]*'))
  const whole = new RegExp(`^${text}$`)
  return path => whole.test(path)
}
