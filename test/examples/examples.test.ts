// Every example is run as a user runs it. Losses and accuracies are read from its output and checked. The table of examples/README.md
// has the lines of each, and those of the same program in PyTorch.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** All numbers after each occurrence of a text, in order. */
function numbersAfter(text: string, output: string): number[] {
  const parts = output.split(text).slice(1)
  return parts.map(part => Number(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i.exec(part)?.[0]))
}

function learns(output: string, from: number, to: number): void {
  const losses = numbersAfter('loss', output)
  assert.ok(losses.length > 2, output)
  assert.ok(losses[0] > from && losses[losses.length - 1] < to, `${losses} does not go from above ${from} below ${to}`)
}

/** A picture in a text: its lines, which follow one that is given. */
function pictureAfter(text: string, lines: number, output: string): string {
  const after = output.split(`${text}\n`)[1]?.split('\n').slice(0, lines).join('\n') ?? ''
  assert.equal(after.split('\n').length, lines, output)
  return after
}

/** Share of a text that is a character. */
const shareOf = (character: string, text: string) => (text.split(character).length - 1) / text.length

const checks: Record<string, (output: string) => void> = {
  'tape.ts': output => {
    const pairs = [...output.matchAll(/by hand Tensor (.*), by the tape Tensor (.*)/g)]
    assert.equal(pairs.length, 2, output)
    for (const [, byHand, byTape] of pairs) assert.equal(byHand, byTape)
    // sin(xw) + xw cos(xw) at x = 1, w = -1
    assert.match(output, /dx .*-1\.3818/)
  },
  'linear-regression.ts': output => {
    learns(output, 10, 0.0105)
    const [w, b] = [/^w (\S+) (\S+)$/m.exec(output), /^b (\S+)$/m.exec(output)]
    for (const [found, is] of [
      [w?.[1], 2],
      [w?.[2], -3],
      [b?.[1], 0.5],
    ] as const)
      assert.ok(Math.abs(Number(found) - is) < 0.02, output)
  },
  'two-moons.ts': output => {
    learns(output, 0.6, 0.02)
    assert.ok(numbersAfter('not trained on', output)[0] > 98, output)
  },
  'newton.ts': output => {
    const values = numbersAfter('f =', output)
    assert.ok(values[6] < 1e-18, output)
    assert.ok(values[7] > 0.1, 'gradient descent is far behind')
  },
  'maml.ts': output => {
    const [untrained, trained] = numbersAfter('one step on ten points', output)
    assert.ok(trained < 0.25 && untrained > 4 * trained, output)
  },
  'own-operation.ts': output => {
    assert.match(output, /its second derivatives are symmetric/)
    assert.match(output, /fail 0$/m)
    assert.match(output, /pass 8$/m)
  },
  'fused-operation.ts': output => {
    assert.match(output, /%1 {2}rmsNorm\(%0, 0\.00001\)/)
    assert.match(output, /the kernel computes what the definition says/)
    assert.match(output, /without ε: .+/)
  },
  'character-gpt.ts': output => {
    learns(output, 3, 0.4)
    assert.match(output, /\n\nBeware the J.*\nThe /s)
  },
  'rotary-gpt.ts': output => {
    learns(output, 3, 0.1)
    assert.match(output, /^hello>olleh$/m)
    assert.ok(numbersAfter('right for', output)[0] > 95, output)
  },
  'digits.ts': output => {
    learns(output, 2, 0.4)
    assert.ok(numbersAfter('not trained on', output)[0] > 92, output)
  },
  'cnn.ts': output => {
    learns(output, 2, 0.05)
    assert.ok(numbersAfter('not trained on', output)[0] >= 98, output)
  },
  'grad-cam.ts': output => {
    const picture = pictureAfter('the heat of its pixels:', 16, output)
    assert.ok(shareOf(' ', picture) > 0.3 && shareOf('@', picture) > 0.02, output)
    // the hot pixels are evidence: without them the network is wrong much more often than without others
    const [hot, random] = numbersAfter(
      'the network is right for',
      output.replace('it is right', 'the network is right'),
    )
    assert.ok(hot < random - 8, output)
  },
  'vae.ts': output => {
    learns(output, 40, 26)
    assert.ok(numbersAfter('divergence', output).at(-1)! > 2, 'the points say nothing about the picture')
    // pictures of digits are dark in their corners and bright in their middle
    const picture = pictureAfter('digits that nobody wrote:', 8, output)
    assert.ok(shareOf(' ', picture) > 0.3 && shareOf('@', picture) > 0.02, output)
    for (const line of picture.split('\n')) assert.match(line.slice(0, 2), /^ *$/, output)
  },
  'diffusion.ts': output => {
    learns(output, 0.8, 0.45)
    const [noise] = numbersAfter('moons: noise', output)
    const [samples] = numbersAfter('samples', output)
    assert.ok(samples < 0.15 && samples < noise / 3, output)
    assert.ok(shareOf('*', output) > 0.1, output)
  },
  'per-sample-gradients.ts': output => {
    assert.ok(numbersAfter('a loop over the samples:', output)[0] < 1e-6, output)
    assert.ok(numbersAfter('from', output)[1] > 2.5, output)
    assert.ok(numbersAfter('not trained on', output)[0] > 90, output)
  },
  'lstm.ts': output => {
    learns(output, 0.6, 0.01)
    assert.ok(numbersAfter('right after', output)[0] > 99, output)
    assert.ok(numbersAfter('with the state:', output)[0] > 99, output)
    // without the state the answers of a sequence are all right or all wrong
    const [without] = numbersAfter('without it:', output)
    assert.ok(without > 15 && without < 85, output)
  },
  'dual-encoder.ts': output => {
    learns(output, 3.3, 1.8)
    assert.ok(numbersAfter('right for', output)[0] > 15, output)
  },
  'physics.ts': output => {
    learns(output, 1, 0.02)
    assert.ok(numbersAfter('largest error', output)[0] < 0.03, output)
  },
  'workers/train.ts': output => {
    learns(output, 0.7, 0.05)
    assert.ok(numbersAfter('not heard:', output)[0] > 95, output)
  },
  'lora.ts': output => {
    const [training, adaptation] = output.split('are trained')
    learns(training, 10, 0.3)
    learns(adaptation, 1, 0.3)
    const [, adapters, all, bytes] = /(\d+) of (\d+) parameters are trained, (\d+) bytes/.exec(output) ?? []
    assert.ok(Number(adapters) > 0 && Number(adapters) < Number(all) / 20, output)
    assert.equal(Number(bytes), 4 * Number(adapters))
    const [, unchanged, weights] = /(\d+) of (\d+) weights are the same to the bit/.exec(output) ?? []
    assert.ok(Number(weights) > 100, output)
    assert.equal(unchanged, weights)
    assert.ok(numbersAfter('change the logits by', output)[0] < 1e-5, output)
    const [before, ...after] = [...output.matchAll(/^\w+: "(.*)"; (\d+) old captions and (\d+) new ones of 24$/gm)]
    assert.match(before[1], /pink/)
    assert.equal(before[2], '24')
    assert.equal(after.length, 2, output)
    for (const [, caption, , right] of after) {
      assert.equal(caption, before[1].replace('pink', 'magenta'))
      assert.equal(right, '24')
    }
  },
  'coca-by-hand.ts': output => {
    learns(output, 10, 2)
    const [, written, own] = /wrote "(.*)" for "(.*)"/.exec(output) ?? []
    assert.ok(own, output)
    assert.equal(written, own)
  },
}

/** Number of lines of a program that are neither empty nor comments. */
async function linesOf(file: string): Promise<number> {
  const text = await readFile(join(root, 'examples', file), 'utf8')
  const comment = file.endsWith('.py') ? /^#/ : /^(\/\/|\/?\*)/
  const lines = text.split('\n').map(line => line.trim())
  return lines.filter(line => line !== '' && !comment.test(line)).length
}

describe('the table of the examples', async () => {
  const readme = await readFile(join(root, 'examples/README.md'), 'utf8')
  const rows = [...readme.matchAll(/^\| \[(.+?)\]\(.*\) \| .* \| (\d+) \| (.*) \|$/gm)]

  test('has every program', async () => {
    assert.deepEqual(rows.map(([, file]) => file).sort(), Object.keys(checks).sort())
    const listed = rows.flatMap(([, , , inPyTorch]) => /\((pytorch\/.*?)\)/.exec(inPyTorch)?.slice(1) ?? [])
    const programs = (await readdir(join(root, 'examples/pytorch'))).filter(file => file.endsWith('.py'))
    assert.deepEqual(listed.sort(), programs.map(file => `pytorch/${file}`).sort())
  })

  for (const [, file, lines, inPyTorch] of rows)
    test(`has the lines of ${file}`, async () => {
      assert.equal(Number(lines), await linesOf(file), `write ${await linesOf(file)} in examples/README.md`)
      if (inPyTorch === '') return
      const name = `pytorch/${file.replace('.ts', '.py')}`
      assert.equal(inPyTorch, `[${await linesOf(name)}](${name})`)
    })
})

describe('the examples', () => {
  test('each has a check', async () => {
    const programs = (await readdir(join(root, 'examples'))).filter(file => file.endsWith('.ts'))
    // beside it is its dataset, a module of its own
    assert.deepEqual([...programs, 'workers/train.ts'].sort(), Object.keys(checks).sort())
  })

  for (const [file, check] of Object.entries(checks))
    test(file, async () => {
      // what runs below a test runner would report to it and print nothing
      const { NODE_TEST_CONTEXT: _, ...env } = process.env
      const options = { cwd: root, env }
      const { stdout } = await run('node', ['--conditions=source', '--import', 'tsx', `examples/${file}`], options)
      check(stdout)
    })
})
