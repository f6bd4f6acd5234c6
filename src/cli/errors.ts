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

/** 0 ok, 1 failure, 2 a mistake in what was asked, 130 interrupted */
export const EXIT = { ok: 0, failure: 1, mistake: 2, interrupted: 130 } as const

/** Something on the command line that cannot be. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What was asked for is done and the answer is no: a gradient that is wrong, say. Its own words are already out. */
export class FailedError extends Error {
  override readonly name = 'FailedError'
}

/** Ctrl-C, after everything worth keeping was kept. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

/** Errors that people can mend by asking for something else. */
const MISTAKES = [
  UsageError,
  DataError,
  DeviceError,
  ConfigError,
  FolderNotEmptyError,
  GenerateOptionError,
  StateDictError,
]

/** Failures that the numbers of a model or the machine are to blame for, and not the code. */
const FAILURES = [TrainingError, WrongGradientError, NonFiniteError, OutOfMemoryError]

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.mistake
  if (error instanceof InterruptedError) return EXIT.interrupted
  if (MISTAKES.some(mistake => error instanceof mistake)) return EXIT.mistake
  return pathOf(error) === undefined ? EXIT.failure : EXIT.mistake
}

/** The path that an error of the file system is about. */
function pathOf(error: unknown): string | undefined {
  const path = (error as NodeJS.ErrnoException | undefined)?.path
  return typeof path === 'string' ? path : undefined
}

function messageOf(error: unknown): string {
  const path = pathOf(error)
  if (path !== undefined) return fileError(path, error).message
  return error instanceof Error ? error.message : String(error)
}

/** What stderr says of an error: one message, and the stack too where COCAGRAD_DEBUG=1. */
export function describeError(error: unknown): string {
  if (process.env.COCAGRAD_DEBUG === '1' && error instanceof Error && error.stack) return error.stack
  if (error instanceof InterruptedError) return messageOf(error)
  const advice =
    exitCodeOf(error) === EXIT.failure && !FAILURES.some(failure => error instanceof failure)
      ? '\nThis should not happen. COCAGRAD_DEBUG=1 shows where it did.'
      : ''
  return `error: ${messageOf(error)}${advice}`
}
