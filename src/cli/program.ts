// The command line with all commands, and how each of them ends.

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { addCaption } from './commands/caption.ts'
import { addClassify } from './commands/classify.ts'
import { addCompare } from './commands/compare.ts'
import { addData } from './commands/data.ts'
import { addDemo } from './commands/demo.ts'
import { addDevices } from './commands/devices.ts'
import { addDoctor } from './commands/doctor.ts'
import { addEmbed } from './commands/embed.ts'
import { addEvaluate } from './commands/evaluate.ts'
import { addExperiment } from './commands/experiment.ts'
import { addExport } from './commands/export.ts'
import { addGradcheck } from './commands/gradcheck.ts'
import { addRetrieve } from './commands/retrieve.ts'
import { addSoup } from './commands/soup.ts'
import { addFinetune, addProbe } from './commands/task.ts'
import { addTokenize } from './commands/tokenize.ts'
import { addTokenizer } from './commands/tokenizer.ts'
import { addTrain } from './commands/train.ts'
import { addVerify } from './commands/verify.ts'
import { describeError, EXIT, exitCodeOf, FailedError } from './errors.ts'
import { examples } from './options.ts'
import { sayHere } from './output.ts'
import { checkDivided, isReporting, whoReports } from './ranks.ts'

// the same relative path from src/cli and from dist/cli
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

export function makeProgram(): Command {
  const program = new Command('cocagrad')
    .description('A small tape-based autograd framework, with CoCa (Contrastive Captioners) as its reference model.')
    .version(version, '-V, --version')
    .exitOverride()
    .configureOutput(isReporting() ? {} : { writeOut() {}, writeErr() {} })
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
  const add = [
    addDemo,
    addData,
    addTrain,
    addProbe,
    addFinetune,
    addSoup,
    addEvaluate,
    addCompare,
    addCaption,
    addClassify,
    addEmbed,
    addRetrieve,
    addExport,
    addTokenizer,
    addTokenize,
    addExperiment,
    addDoctor,
    addGradcheck,
    addVerify,
    addDevices,
  ]
  for (const addCommand of add) addCommand(program)
  return examples(
    program,
    'demo',
    'data shapes --out shapes --count 2000 --pairs seen',
    'train --data shapes --preset tiny --out runs/first',
    'caption picture.png --run runs/first',
  )
}

/** Runs a command line and prints its error, if any. Returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const program = makeProgram()
  let running: Command | undefined
  program.hook('preAction', (_, command) => {
    running = command
    checkDivided(command)
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    return EXIT.ok
  } catch (error) {
    // commander has printed its own errors already, and a failed command its result
    const code = exitCodeOf(error)
    const who = code === EXIT.ok ? '' : await whoReports(error)
    const isPrinted = error instanceof CommanderError || error instanceof FailedError
    if (who !== undefined && !isPrinted) sayHere(who + describeError(error, running))
    return code
  }
}
