// What is timed, under the same names here and in openclip.py.

/** The preprocessing of training, with a random crop, and that of evaluation, with the centre. */
export const tasks = ['train', 'evaluate'] as const
export type TaskName = (typeof tasks)[number]

/** The last line of a program. */
export interface LoadingResult {
  readonly version: string
  /** images a second in each timed pass */
  readonly rates: readonly number[]
  /** processor time of the program and all of its threads or workers, milliseconds an image, in each timed pass */
  readonly work: readonly number[]
  /** of the program, without worker processes */
  readonly peakMb: number
}

/** Pictures of this side, and texts of this number of ids. */
export const [imageSize, contextLength] = [224, 77]
