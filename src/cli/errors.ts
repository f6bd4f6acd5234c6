// How a command ends. For a mistake in the arguments it prints one sentence that names the mistake; for a bug in this
// program it says that it is a bug. The exit codes differ, for scripts.

import { type Command, CommanderError } from 'commander'
import { FolderNotEmptyError } from '../data/index.ts'
import {
  ConfigError,
  DeviceError,
  GenerateOptionError,
  NonFiniteError,
  OptionsError,
  OutOfMemoryError,
  StateDictError,
} from '../index.ts'
import { DataError, fileError, isFileSystemError } from '../io/index.ts'
import { MpiError, MpiUnavailableError, RanksDifferError } from '../mpi/index.ts'
import { RunConfigError, TrainingError, WrongGradientError } from '../train/index.ts'

/** 0 ok, 1 failure, 2 a mistake in the arguments, 130 interrupted */
export const EXIT = { ok: 0, failure: 1, mistake: 2, interrupted: 130 } as const

/** An invalid command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The command ran, and its result is negative, such as a wrong gradient. Its output is already printed. */
export class FailedError extends Error {
  override readonly name = 'FailedError'
}

/** Ctrl-C, after the state was saved. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

/** Errors that users can fix by changing the command. */
const MISTAKES = [
  UsageError,
  DataError,
  DeviceError,
  ConfigError,
  FolderNotEmptyError,
  GenerateOptionError,
  StateDictError,
  MpiUnavailableError,
  RanksDifferError,
]

/** Failures caused by the numbers of a model or by the machine, not by the code. */
const FAILURES = [TrainingError, WrongGradientError, NonFiniteError, OutOfMemoryError, MpiError]

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.mistake
  if (error instanceof InterruptedError) return EXIT.interrupted
  if (MISTAKES.some(mistake => error instanceof mistake)) return EXIT.mistake
  return isFileSystemError(error) ? EXIT.mistake : EXIT.failure
}

function messageOf(error: unknown): string {
  // an error of writing to a file that is open has no path
  if (isFileSystemError(error)) return fileError(error.path ?? 'a file', error).message
  return error instanceof Error ? error.message : String(error)
}

/** The flag of an option or a setting: `batchSize` → `--batch-size`. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`

/** The settings that flags with other names set; a setting that ends in a point stands for all in it. */
const SETTINGS_OF: Readonly<Record<string, readonly string[]>> = {
  batch: ['batchSize'],
  optimizer: ['optimizer.name'],
  lr: ['optimizer.learningRate'],
  weightDecay: ['optimizer.weightDecay'],
  rate: ['optimizer.rates.'],
  layerDecay: ['optimizer.layerDecay'],
  inBackward: ['optimizer.inBackward'],
  moments: ['optimizer.moments'],
  guardEvery: ['guard.every'],
  truncate: ['truncateCaptions'],
  preset: ['model', 'model.preset'],
  frames: ['model.frames'],
  images: ['model.images'],
  prompt: ['prompts'],
}

/** The names of the settings that an error is about. */
function settingsIn(error: unknown): readonly string[] {
  if (error instanceof RunConfigError) return error.problems.map(({ field }) => field)
  if (error instanceof ConfigError) return [error.field]
  if (error instanceof GenerateOptionError || error instanceof OptionsError) return [error.option]
  return []
}

/**
 * An error's message in which the flags that were given stand in place of the settings that they set: errors of the library name its
 * options, and who types a command knows its flags. A setting of a --config file keeps its name.
 */
function inFlags(error: unknown, message: string, command: Command | undefined): string {
  const names = command?.options.map(option => option.attributeName()) ?? []
  const typed = names.filter(name => command!.getOptionValueSource(name) === 'cli')
  let text = message
  for (const setting of settingsIn(error))
    for (const name of typed) {
      const own = [name, ...(SETTINGS_OF[name] ?? [])]
      const whole = own.find(each => (each.endsWith('.') ? setting.startsWith(each) : setting === each))
      if (whole === undefined) continue
      const place = new RegExp(`(?<![\\w./-])${whole.replaceAll('.', '\\.')}${whole.endsWith('.') ? '' : '(?=:| =)'}`)
      text = text.replace(place, `${flagOf(name)}${whole.endsWith('.') ? ' ' : ''}`)
    }
  return text.replace(/^generate: (?=--)/, '')
}

/**
 * The text for an error on stderr: one message, or the stack if COCAGRAD_DEBUG=1.
 * @param command the one that was run, whose flags the message names
 */
export function describeError(error: unknown, command?: Command): string {
  if (process.env.COCAGRAD_DEBUG === '1' && error instanceof Error && error.stack) return error.stack
  if (error instanceof InterruptedError) return messageOf(error)
  const advice =
    exitCodeOf(error) === EXIT.failure && !FAILURES.some(failure => error instanceof failure)
      ? '\nThis is a mistake in cocagrad. Set COCAGRAD_DEBUG=1 to see where it was made.'
      : ''
  return `error: ${inFlags(error, messageOf(error), command)}${advice}`
}
