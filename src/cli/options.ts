// Options that several commands share, and how their values are read. An invalid value is an error that names its flag,
// before any work begins.

import { type Command, InvalidArgumentError, Option } from 'commander'
import { IMAGE_PIXELS } from '../data/index.ts'
import { device, type GpuBackend, type OpenOptions } from '../index.ts'
import { familyNames } from '../models/index.ts'
import { architectureProblem, isArchitecture } from '../openclip/index.ts'
import { UsageError } from './errors.ts'

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('Expected a positive integer.')
  return value
}

export function wholeNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('Expected an integer, 0 or more.')
  return value
}

export function positiveNumber(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError('Expected a number above 0.')
  return value
}

export function nonNegativeNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value < Number.POSITIVE_INFINITY))
    throw new InvalidArgumentError('Expected a number, 0 or more.')
  return value
}

export function anyNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Expected a number.')
  return value
}

/** `a, b, c`: names separated by commas, none empty, none twice. */
export const names =
  (flag: string) =>
  (text: string): string[] => {
    const list = text.split(',').map(name => name.trim())
    if (list.some(name => name === ''))
      throw new UsageError(`${flag} '${text}': expected names separated by commas, none of them empty`)
    const twice = list.find((name, i) => list.indexOf(name) < i)
    if (twice !== undefined) throw new UsageError(`${flag}: '${twice}' is listed twice`)
    return list
  }

/** For options that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

/** --pixels */
export const pixelsOption = (otherwise: string): Option =>
  new Option(
    '--pixels <rule>',
    `how image files become pixels; openclip: as OpenCLIP prepares them; squash: the whole picture, not cropped (default: ${otherwise})`,
  ).choices(IMAGE_PIXELS)

/** --family */
export const familyOption = (description: string): Option =>
  new Option('--family <name>', description).choices(familyNames)

/** --architecture */
export const architectureOption = (): Option =>
  new Option(
    '--architecture <name>',
    'with a checkpoint of OpenCLIP that has no configuration beside it: its name for the architecture, such as ViT-B-16-SigLIP',
  ).argParser((name: string) => {
    if (!isArchitecture(name)) throw new InvalidArgumentError(`It ${architectureProblem(name)}.`)
    return name
  })

/** The default device. */
export const DEFAULT_DEVICE = 'cpu'

export interface DeviceOptions {
  readonly device?: string
  readonly backend?: string
}

export interface CommonOptions extends DeviceOptions {
  readonly seed: number
  readonly json?: boolean
}

/** Example lines under a command's help. */
export const examples = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${lines.map(line => `  cocagrad ${line}`).join('\n')}`)

export const jsonOption = (command: Command): Command =>
  command.option('--json', 'print the result as JSON on stdout, everything else on stderr')

export const seedOption = (command: Command): Command =>
  command.option('--seed <n>', 'seed of all random numbers', wholeNumber, 0)

export const deviceOption = (command: Command, otherwise: string = DEFAULT_DEVICE): Command =>
  command
    .option('--device <name>', `device of the tensors: reference, cpu or gpu (default: ${otherwise})`)
    .option('--backend <name>', 'with --device gpu: webgpu, webgl2, webasm or cpu')

/** --device, --backend, --seed and --json. */
export const commonOptions = (command: Command): Command => jsonOption(seedOption(deviceOption(command)))

/** Opens the requested device and returns its description. Throws DeviceError, and UsageError for a --backend that does not apply. */
export async function openDevice({ device: name = DEFAULT_DEVICE, backend }: DeviceOptions): Promise<string> {
  if (backend !== undefined && name !== 'gpu') throw new UsageError(`--backend ${backend} needs --device gpu`)
  const options: OpenOptions = backend === undefined ? {} : { backend: backend as GpuBackend }
  await device.use(name as typeof device.current, options)
  return device.description
}
