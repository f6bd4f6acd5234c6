import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type Command, CommanderError } from 'commander'
import { describeError, exitCodeOf, InterruptedError, UsageError } from '../../src/cli/errors.ts'
import { table } from '../../src/cli/output.ts'
import { makeProgram } from '../../src/cli/program.ts'
import { duration, percent } from '../../src/demo/words.ts'
import { DeviceError } from '../../src/index.ts'
import { DataError } from '../../src/io/index.ts'

/** What `cocagrad … --help` prints. */
const helpOf = (...path: string[]): string => printedBy([...path, '--help'], path)

/** What a command line prints that does nothing else. */
function printedBy(argv: readonly string[], path: readonly string[] = []): string {
  const program = makeProgram()
  let text = ''
  const commands: Command[] = [program]
  for (const name of path) commands.push(commands[commands.length - 1].commands.find(each => each.name() === name)!)
  for (const command of commands)
    command.configureOutput({
      writeOut: words => {
        text += words
      },
    })
  assert.throws(() => program.parse(argv, { from: 'user' }), CommanderError)
  return text
}

describe('the command line', () => {
  const paths = makeProgram().commands.flatMap(command =>
    command.commands.length > 0 ? command.commands.map(sub => [command.name(), sub.name()]) : [[command.name()]],
  )

  for (const path of paths)
    it(`${path.join(' ')} --help shows options and examples`, () => {
      const help = helpOf(...path)
      assert.match(help, /--json/)
      assert.match(help, new RegExp(`Examples:\n {2}cocagrad ${path.join(' ')}`))
    })

  it('commands that compute have --device and --seed', () => {
    for (const name of ['demo', 'train', 'evaluate', 'caption', 'classify', 'retrieve'])
      for (const flag of ['--device', '--backend', '--seed']) assert.ok(helpOf(name).includes(flag), `${name} ${flag}`)
  })
})

it('--version prints the version of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  assert.equal(printedBy(['--version']).trim(), version)
})

/** The error of the file system about a path that does not exist. */
function missing(): Error {
  try {
    readdirSync('/nowhere')
  } catch (error) {
    return error as Error
  }
  throw new Error('/nowhere exists')
}

describe('exit codes', () => {
  it('distinguish mistakes, interruptions and failures', () => {
    assert.equal(exitCodeOf(new UsageError('')), 2)
    assert.equal(exitCodeOf(new DataError('')), 2)
    assert.equal(exitCodeOf(new DeviceError('', 'gpu')), 2)
    assert.equal(exitCodeOf(missing()), 2)
    assert.equal(exitCodeOf(new InterruptedError('')), 130)
    assert.equal(exitCodeOf(new TypeError('')), 1)
  })

  it('a file system error is one sentence with its path', () => {
    assert.equal(describeError(missing()), 'error: /nowhere: does not exist')
  })

  it('only unexpected errors mention the stack', () => {
    assert.match(describeError(new TypeError('x is undefined')), /COCAGRAD_DEBUG=1/)
    assert.doesNotMatch(describeError(new DataError('no picture')), /COCAGRAD_DEBUG/)
  })
})

describe('text output', () => {
  it('columns of numbers are aligned to the right', () => {
    assert.equal(
      table(
        ['name', 'n'],
        [
          ['a', '1'],
          ['bc', '22'],
        ],
      ),
      'name   n\n────  ──\na      1\nbc    22',
    )
  })

  it('durations and percentages are short', () => {
    assert.deepEqual([1.234, 59.7, 61, 3725].map(duration), ['1.2 s', '1 min', '1 min 1 s', '1 h 2 min'])
    assert.equal(percent(0.8125), '81.3 %')
  })
})
