// What a notebook shows: plots, pictures, the graph of a tape, and a bar that is updated in place.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { ArgumentError, jupyterDisplay, type MimeBundle, OptionsError, ShapeError, Tape, tensor } from 'cocagrad'
import { display, displayWith, graph, picture, plot, progress } from 'cocagrad/notebook'
import fc from 'fast-check'
import { decode } from 'fast-png'

interface Shown {
  readonly id: string
  readonly content: MimeBundle
  readonly isUpdate: boolean
}

/** Collects what is shown from now on. */
function watched(canReplace = true): Shown[] {
  const all: Shown[] = []
  displayWith({ canReplace, show: (id, content, isUpdate) => void all.push({ id, content, isUpdate }) })
  return all
}
afterEach(() => void watched())

/** The numbers of an attribute of all elements of a kind. */
const numbersOf = (svg: string, element: string, attribute: string) =>
  Array.from(svg.matchAll(new RegExp(`<${element}[^>]* ${attribute}="([^"]*)"`, 'g')), ([, value]) =>
    value.split(/[ ,]/).map(Number),
  )

describe('a plot', () => {
  test('goes from left to right, and higher values are higher', () => {
    const finite = fc.double({ noNaN: true, min: -1e6, max: 1e6 })
    fc.assert(
      fc.property(fc.array(finite, { minLength: 2, maxLength: 50 }), values => {
        const [places] = numbersOf(plot(values).toSvg(), 'polyline', 'points')
        const xs = places.filter((_, i) => i % 2 === 0)
        const ys = places.filter((_, i) => i % 2 === 1)
        assert.equal(xs.length, values.length)
        for (let i = 1; i < xs.length; i++) assert.ok(xs[i] > xs[i - 1])
        for (let i = 1; i < ys.length; i++)
          if (values[i] >= values[i - 1]) assert.ok(ys[i] <= ys[i - 1])
          else assert.ok(ys[i] >= ys[i - 1])
        for (const y of ys) assert.ok(y >= 0 && y <= 220)
      }),
    )
  })

  test('has a line and a name for each series, with the last value of each', () => {
    const svg = plot({ train: [3, 2, 1], test: [3, 2.5, 2.25] }, { title: 'a < b' }).toSvg()
    assert.equal(numbersOf(svg, 'polyline', 'points').length, 2)
    assert.match(svg, />train 1</)
    assert.match(svg, />test 2.25</)
    assert.match(svg, />a &lt; b</)
    assert.match(svg, /aria-label="Plot a &lt; b: train from 3 to 1, 3 points; test from 3 to 2.25, 3 points"/)
  })

  test('leaves out what is not finite, and thins out what cannot be seen', () => {
    assert.deepEqual(plot([1, Number.NaN, 3]).series[0].points, [
      [0, 1],
      [2, 3],
    ])
    const [places] = numbersOf(plot(new Float32Array(100_000)).toSvg(), 'polyline', 'points')
    assert.ok(places.length <= 2 * 1001)
    assert.equal(Math.max(...places.filter((_, i) => i % 2 === 0)), 550)
  })

  test('of nothing, and of one value, is a plot', () => {
    assert.match(plot([]).toSvg(), /<svg/)
    assert.equal(numbersOf(plot([5]).toSvg(), 'polyline', 'points')[0].length, 2)
    assert.equal(`${plot([])}`, 'Plot: value has no points')
  })

  test('takes places and pairs', () => {
    assert.deepEqual(plot([1, 2], { at: [10, 20] }).series[0].points, [
      [10, 1],
      [20, 2],
    ])
    const svg = plot([[1, 2]], { kind: 'points' }).toSvg()
    assert.deepEqual(numbersOf(svg, 'circle', 'r')[0], [2.5])
  })

  test('says what is wrong with its arguments', () => {
    assert.throws(() => plot([1, 2, 3], { at: [1, 2] }), /RangeError|value has 3 values and at has 2/)
    assert.throws(() => plot(['a'] as never), /value 0 of value is no number and no pair/)
    assert.throws(() => plot({ loss: tensor([1, 2]) as never }), /loss is a tensor.*await x\.data\(\)/)
    assert.throws(() => plot([1], { titel: 'x' } as never), OptionsError)
    assert.throws(() => plot(tensor([1, 2]) as never), /series is a tensor.*await x\.data\(\)/)
  })
})

describe('a picture', () => {
  /** The pictures in a text of HTML, decoded. */
  const decoded = (html: string) =>
    Array.from(html.matchAll(/src="data:image\/png;base64,([^"]+)"/g), ([, text]) =>
      decode(Buffer.from(text, 'base64'), { checkCrc: true }),
    )

  test('has the least value black and the greatest white, whatever its layout', async () => {
    const values = Array.from({ length: 20 }, (_, i) => i)
    for (const shape of [
      [1, 5, 4],
      [5, 4, 1],
      [5, 4],
    ]) {
      const [{ data, width, height, channels }] = decoded(
        (await picture(tensor(values).reshape(shape))[jupyterDisplay]())['text/html'],
      )
      assert.deepEqual({ width, height, channels }, { width: 4, height: 5, channels: 1 })
      assert.deepEqual(
        [...data],
        values.map(value => Math.round((255 * value) / 19)),
      )
    }
    const coloured = tensor(values.slice(0, 12)).reshape([3, 2, 2])
    const [{ data }] = decoded((await picture(coloured)[jupyterDisplay]())['text/html'])
    assert.deepEqual(
      [...data.slice(0, 3)],
      [0, 4, 8].map(value => Math.round((255 * value) / 11)),
    )
  })

  test('of a batch are several, each with its caption', async () => {
    const many = picture(tensor(Array.from({ length: 2 * 64 }, Math.random)).reshape([2, 1, 8, 8]), {
      captions: ['one "1"', 'two <2>'],
    })
    const { 'text/html': html, 'text/plain': text } = await many[jupyterDisplay]()
    assert.equal(decoded(html).length, 2)
    assert.match(html, /alt="one &quot;1&quot;" width="64"/)
    assert.match(html, /<figcaption>two &lt;2&gt;<\/figcaption>/)
    assert.equal(text, '2 grey pictures of 8 × 8 pixels')
    const some = await picture(tensor(new Array(20 * 64).fill(1)).reshape([20, 1, 8, 8]), { most: 3 })[jupyterDisplay]()
    assert.equal(decoded(some['text/html']).length, 3)
    assert.match(some['text/html'], /the first 3 of 20/)
  })

  test('is refused for other shapes and other numbers of captions', () => {
    assert.throws(() => picture(tensor([1, 2])), ShapeError)
    assert.throws(() => picture(tensor(new Array(24).fill(0)).reshape([2, 3, 4])), ShapeError)
    assert.throws(() => picture(tensor([[1]]), { captions: ['a', 'b'] }), /2 captions for 1 pictures/)
    assert.throws(() => picture([[1]] as never), ArgumentError)
  })
})

describe('the graph of a tape', () => {
  test('has a row for each tensor, and an arc for each use', () => {
    const tape = new Tape()
    const [x, w] = [tape.watch(tensor([1, 2]), 'x'), tape.watch(tensor([3, 4]), 'w')]
    tape.run(() => x.mul(w).add(x).sum())
    const shown = graph(tape)
    const svg = shown.toSvg()
    assert.equal(`${shown}`, 'Graph of 2 watched tensors and 3 operations')
    assert.equal(svg.match(/class="watched"/g)?.length, 2)
    assert.equal(svg.match(/class="operation"/g)?.length, 3)
    // mul ← x, w; add ← mul, x; sum ← add
    const rows = Array.from(svg.matchAll(/M[\d.]+ (\d+)C[^"]* (\d+)"/g), ([, from, to]) =>
      [from, to].map(y => (Number(y) - 12) / 22),
    )
    assert.deepEqual(rows, [
      [0, 2],
      [1, 2],
      [2, 3],
      [0, 3],
      [3, 4],
    ])
    tape.end()
    assert.equal(
      graph(tape)
        .toSvg()
        .match(/class="operation"/g),
      null,
    )
    assert.throws(() => graph(x as never), ArgumentError)
  })
})

describe('display', () => {
  test('shows values in the order of the calls, and updates in place', async () => {
    const shown = watched()
    const first = display(picture(tensor([[1, 2]])))
    const second = display('text')
    await first.update(plot([1]))
    await second.update('more')
    assert.deepEqual(
      shown.map(({ isUpdate }) => isUpdate),
      [false, false, true, true],
    )
    assert.deepEqual(
      shown.map(({ id }) => id),
      [shown[0].id, shown[1].id, shown[0].id, shown[1].id],
    )
    assert.notEqual(shown[0].id, shown[1].id)
    assert.deepEqual(
      shown.map(({ content }) => Object.keys(content).length),
      [2, 1, 2, 1],
    )
  })

  test('shows tensors, modules and tapes as a notebook does', async () => {
    const shown = watched()
    const x = tensor([1, 2])
    await display(x).update(x)
    assert.deepEqual(shown[0].content, await x[jupyterDisplay]())
  })

  test('refuses what has no display', () => {
    assert.throws(() => display(3 as never), /3 has no display/)
  })

  test('prints the texts in a console', async () => {
    const program =
      "import { display, plot } from 'cocagrad/notebook'; await display(plot([1, 2], { title: 'loss' })).update('later')"
    const flags = ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', program]
    const output = execFileSync(process.execPath, flags, { encoding: 'utf8', cwd: join(import.meta.dirname, '../..') })
    assert.equal(output, 'Plot loss: loss from 1 to 2, 2 points\nlater\n')
  })
})

describe('progress', () => {
  test('gives its elements and shows the first and the last state in one place', async () => {
    const shown = watched()
    const bar = progress(3, { label: 'training' })
    const seen: number[] = []
    for await (const step of bar) {
      seen.push(step)
      bar.note = `loss ${step}`
    }
    assert.deepEqual(seen, [0, 1, 2])
    assert.equal(new Set(shown.map(({ id }) => id)).size, 1)
    assert.equal(shown[0].content['text/plain'], 'training 0 of 3')
    assert.equal(shown.at(-1)?.content['text/plain'], 'training 3 of 3 loss 2')
    assert.match(shown.at(-1)!.content['text/html'], /<progress aria-label="training" value="3" max="3">/)
    assert.equal(inspect(bar), 'training 3 of 3 loss 2')
    // again from the start
    for await (const _ of bar) break
    assert.equal(bar.done, 0)
  })

  test('is updated while it goes on, and says what is left', async () => {
    const shown = watched()
    for await (const _ of progress(4)) await new Promise(resolve => setTimeout(resolve, 60))
    assert.ok(shown.length >= 3, `${shown.length}`)
    assert.ok(shown.some(({ content }) => /about .* s left/.test(content['text/html'])))
  })

  test('shows where a loop was left, also by an error', async () => {
    for (const f of [() => 'break', () => assert.fail('mine')] as const) {
      const shown = watched()
      await (async () => {
        for await (const name of progress(['a', 'b', 'c'])) if (name === 'b' && f()) break
      })().catch(error => assert.match(error.message, /mine/))
      assert.equal(shown.at(-1)?.content['text/plain'], '1 of 3')
    }
  })

  test('prints few lines where nothing is replaced', async () => {
    const shown = watched(false)
    for await (const _ of progress(500)) await undefined
    assert.equal(shown.length, 2)
  })

  test('takes a number or a list', () => {
    assert.throws(() => progress(-1), ArgumentError)
    assert.throws(() => progress('abc' as never), ArgumentError)
    assert.throws(() => progress(3, { lable: '' } as never), OptionsError)
  })
})
