import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shapesExample } from '../../src/data/index.ts'
import { lineChart, number } from '../../src/demo/report/chart.ts'
import { html } from '../../src/demo/report/html.ts'
import { type ReportData, reportPage } from '../../src/demo/report/report.ts'
import { percentRange } from '../../src/demo/words.ts'

const { pixels, caption } = shapesExample(0)
const picture = { pixels, size: [32, 32] as const, alt: caption }
const attention = Array.from({ length: 16 }, () => 1 / 16)

const data: ReportData = {
  title: 'A <page> & more',
  lead: 'All of it.',
  targets: [
    { name: 'one', value: 0.9, target: 0.8, overSeeds: { lowest: 0.8125, highest: 0.95, seeds: 5 } },
    { name: 'other', value: 0.7, target: 0.8 },
  ],
  curve: Array.from({ length: 500 }, (_, i) => ({
    step: i + 1,
    losses: { total: 3 / (i + 1), contrastive: 2 / (i + 1), captioning: 0 },
  })),
  checks: [
    { step: 1, ok: true, error: 1e-6, bound: 0.01, seconds: 0.1 },
    { step: 501, ok: false, error: 0.2, bound: 0.01, seconds: 0.1 },
  ],
  captions: [
    { picture, reference: 'a red star', generated: 'a red ring', isRight: false },
    { picture, reference: 'a red star', generated: 'a red star', isRight: true },
    { picture, reference: 'a star above a ring', generated: 'a star right of a ring', isRight: false },
    {
      picture,
      reference: 'a green star above a cyan circle',
      generated: 'a blue circle below a green star',
      isRight: false,
    },
  ],
  similarity: {
    pictures: [picture, picture],
    captions: ['a', '"b"'],
    values: [
      [0.9, -0.1],
      [0.2, 0.8],
    ],
  },
  zeroShot: {
    pairs: [{ colour: 'red', shape: 'star', heldOut: true, count: 4, accuracy: 0.75 }],
    confusions: [{ truth: 'red star', answer: 'red ring', count: 1 }],
  },
  retrieval: { pictures: 500, rows: [{ direction: 'a → b', recall: { 1: 0.5, 5: 0.7, 10: 0.9 }, medianRank: 2 }] },
  grid: [4, 4],
  pooler: [{ picture, caption, attention }],
  tokens: [{ picture, caption, tokens: [{ text: 'red', probability: 0.9, attention }] }],
  settings: { device: '<script>' },
  footer: 'The end.',
}

describe('a report', () => {
  const page = reportPage(data)

  it('needs no other files', () => {
    const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address)
    assert.ok(addresses.length > 0)
    assert.ok(addresses.every(address => address.startsWith('data:image/png;base64,')))
    assert.doesNotMatch(page, /<script|<link|@import|url\(/)
  })

  it('escapes its input', () => {
    assert.ok(page.includes('A &lt;page&gt; &amp; more'))
    assert.ok(page.includes('&lt;script&gt;'))
    assert.equal(html`<p>${'<b>'}${[html`<i>${'"'}</i>`]}</p>`.markup, '<p>&lt;b&gt;<i>&quot;</i></p>')
  })

  it('states right and wrong in words, and marks the wrong words', () => {
    assert.match(page, /✓ reached/)
    assert.match(page, /✗ missed/)
    assert.match(page, /<ins>ring<\/ins>/)
    assert.match(page, /correct: a red star/)
    assert.match(page, /a star <ins>right<\/ins> <ins>of<\/ins> a ring/)
    assert.match(page, /a <ins>blue<\/ins> circle below a green star/, 'held against the wording that is nearest')
    assert.match(page, /correct: a cyan circle below a green star/)
  })

  it('states what other seeds reached, where that was measured', () => {
    assert.match(page, /<th scope="col" class="number">5 seeds<\/th>/)
    assert.match(page, /<td class="number">81\.3–95\.0 %<\/td>/)
    assert.equal(percentRange({ lowest: 0.9999, highest: 1 }), '100.0 %')
    const targets = data.targets.map(({ overSeeds: _, ...target }) => target)
    assert.doesNotMatch(reportPage({ ...data, targets }), /5 seeds|differ in their seed/)
  })

  it('states whether the gradients were right', () => {
    assert.match(page, /✗ wrong in 1 of 2 checks, first at step 501/)
    assert.match(page, /largest relative error was\s+0\.2, at step 501/)
    const { checks } = data
    assert.match(reportPage({ ...data, checks: checks.slice(0, 1) }), /✓ right in each of 1 check</)
    assert.doesNotMatch(reportPage({ ...data, checks: [] }), /gradients were right/)
  })

  it('shows pictures before it plots losses', () => {
    const at = (part: string) => page.indexOf(part)
    for (const chart of ['<svg class="chart"', 'How it learned', 'Were its gradients right?'])
      for (const seen of ['Its captions of new pictures', 'class="attended"', 'One space for pictures and words'])
        assert.ok(at(seen) > 0 && at(seen) < at(chart), `${seen} stands behind ${chart}`)
  })

  it('gives every picture an alternative text', () => {
    for (const [tag] of page.matchAll(/<img[^>]*>/g)) assert.match(tag, /alt="[^"]+"/)
    for (const [tag] of page.matchAll(/<svg[^>]*>/g)) assert.match(tag, /role="img" aria-label="[^"]+"/)
  })

  it('closes every element', () => {
    for (const tag of ['section', 'table', 'tr', 'td', 'th', 'svg', 'figure', 'li', 'p', 'div', 'ins', 'span']) {
      const count = (pattern: RegExp) => [...page.matchAll(pattern)].length
      assert.equal(count(new RegExp(`<${tag}[\\s>]`, 'g')), count(new RegExp(`</${tag}>`, 'g')), tag)
    }
  })
})

describe('a chart', () => {
  const x = Array.from({ length: 1000 }, (_, i) => i + 1)
  const chart = (values: readonly number[]) =>
    lineChart({ title: 't', xLabel: 'step', yLabel: 'loss', x, lines: [{ name: 'total', values }] }).markup

  it('thins out long runs', () => {
    const [, points] = /<polyline[^>]*points="([^"]*)"/.exec(chart(x.map(step => 1 / step)))!
    assert.ok(points.split(' ').length <= 120)
  })

  it('writes numbers with few zeros', () => {
    assert.deepEqual([0, 0.012, 5, 1e-3, 1e-4, 0.0000123, 2e-10].map(number), [
      '0',
      '0.012',
      '5',
      '0.001',
      '10⁻⁴',
      '1.2·10⁻⁵',
      '2·10⁻¹⁰',
    ])
  })

  it('has only finite numbers for constant and small losses', () => {
    for (const values of [x.map(() => 1), x.map(() => 0.5), x.map(step => 1 / step), x.map(() => 0)])
      assert.ok(!/="[^"]*(NaN|Infinity)/.test(chart(values)))
  })
})
