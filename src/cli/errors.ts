// How a command ends. For a mistake in the arguments it prints one sentence that names the mistake; for a bug in this
// program it says that it is a bug. The exit codes differ, for scripts.

import { CommanderError } from 'commander'
import { FolderNotEmptyError } from '../data/index.ts'
import {
  ConfigError,
  DeviceError,
  GenerateOptionError,
  NonFiniteError,
  OutOfMemoryError,
  StateDictError,
} from '../index.ts'
import { DataError, fileError } from '../io/index.ts'
import { TrainingError, WrongGradientError } from '../train/index.ts'

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
]

/** Failures caused by the numbers of a model or by the machine, not by the code. */
const FAILURES = [TrainingError, WrongGradientError, NonFiniteError, OutOfMemoryError]

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.mistake
  if (error instanceof InterruptedError) return EXIT.interrupted
  if (MISTAKES.some(mistake => error instanceof mistake)) return EXIT.mistake
  return pathOf(error) === undefined ? EXIT.failure : EXIT.mistake
}

/** The path of a file system error. */
function pathOf(error: unknown): string | undefined {
  const path = (error as NodeJS.ErrnoException | undefined)?.path
  return typeof path === 'string' ? path : undefined
}

function messageOf(error: unknown): string {
  const path = pathOf(error)
  if (path !== undefined) return fileError(path, error).message
  return error instanceof Error ? error.message : String(error)
}

/** The text for an error on stderr: one message, or the stack if COCAGRAD_DEBUG=1. */
export function describeError(error: unknown): string {
  if (process.env.COCAGRAD_DEBUG === '1' && error instanceof Error && error.stack) return error.stack
  if (error instanceof InterruptedError) return messageOf(error)
  const advice =
    exitCodeOf(error) === EXIT.failure && !FAILURES.some(failure => error instanceof failure)
      ? '\nThis should not happen. Set COCAGRAD_DEBUG=1 to see where it did.'
      : ''
  return `error: ${messageOf(error)}${advice}`
}
