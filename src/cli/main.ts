#!/usr/bin/env node
// The command line: `cocagrad <command>`.

import { EXIT } from './errors.ts'
import { runCommandLine } from './program.ts'

// the reader of a pipe, such as head, may close it early
process.stdout.on('error', error => {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(EXIT.ok)
  throw error
})

const code = await runCommandLine(process.argv.slice(2))
// a GPU may keep the process alive; flush the output before exiting
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
