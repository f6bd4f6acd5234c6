// A page that shows what a model has learned: one file without scripts and without requests to the network. It only displays
// its input, which evaluate.ts collects.

import { writeAtomically } from '../../io/index.ts'
import type { SeedRange } from '../seeds.ts'
import { duration, percent, percentRange } from '../words.ts'

import { lineChart, number } from './chart.ts'
import { type CaptionedPicture, gallery, verdict } from './gallery.ts'
import { type Html, html } from './html.ts'
import { attended, image, type Picture } from './picture.ts'
import { style } from './style.ts'

export { type Picture, pictureOf } from './picture.ts'

/** A result and its target, both as shares of 1. */
export interface Target {
  readonly name: string
  readonly value: number
  readonly target: number
  /** what other seeds reached; absent if a training of this length was not measured */
  readonly overSeeds?: SeedRange
}

export interface CurvePoint {
  readonly step: number
  /** the loss that was minimized, and its parts */
  readonly losses: { readonly total: number; readonly [name: string]: number }
}

/** One check of the gradient during training, against finite differences. */
export interface GradientCheck {
  readonly step: number
  readonly ok: boolean
  readonly error: number
  readonly bound: number
  readonly seconds: number
}

export interface PairScore {
  readonly colour: string
  readonly shape: string
  readonly heldOut: boolean
  readonly count: number
  /** share of its pictures with the right name */
  readonly accuracy: number
}

export interface RetrievalRow {
  readonly direction: string
  readonly recall: { readonly 1: number; readonly 5: number; readonly 10: number }
  readonly medianRank: number
}

export interface ReportData {
  readonly title: string
  /** one or two sentences: what was trained on what, and for how long */
  readonly lead: string
  readonly targets: readonly Target[]
  readonly curve: readonly CurvePoint[]
  /** empty if the gradient was not checked */
  readonly checks: readonly GradientCheck[]
  readonly captions: readonly CaptionedPicture[]
  /** cosines [caption][picture]; caption i belongs to picture i */
  readonly similarity: {
    readonly pictures: readonly Picture[]
    readonly captions: readonly string[]
    readonly values: readonly (readonly number[])[]
  }
  readonly zeroShot: {
    readonly pairs: readonly PairScore[]
    /** most frequent first */
    readonly confusions: readonly { readonly truth: string; readonly answer: string; readonly count: number }[]
  }
  readonly retrieval: { readonly pictures: number; readonly rows: readonly RetrievalRow[] }
  /** number of patches of a picture in a column and in a row */
  readonly grid: readonly [rows: number, columns: number]
  /** the attention of the image's embedding: shares, row by row over the patches */
  readonly pooler: readonly {
    readonly picture: Picture
    readonly caption: string
    readonly attention: ArrayLike<number>
  }[]
  /** the attention of the decoder for each token of a caption it generates */
  readonly tokens: readonly {
    readonly picture: Picture
    readonly caption: string
    readonly tokens: readonly {
      readonly text: string
      readonly probability: number
      readonly attention: ArrayLike<number>
    }[]
  }[]
  readonly settings: Readonly<Record<string, string>>
  readonly footer: string
}

/** Writes the page atomically. */
export const writeReport = (path: string, data: ReportData): Promise<void> => writeAtomically(path, reportPage(data))

export const reportPage = (data: ReportData): string =>
  `${html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${data.title}</title>
${style}
</head>
<body>
<main>
<header><h1>${data.title}</h1><p class="lead">${data.lead}</p></header>
${[summary, captions, pooler, tokenStrips, similarity, zeroShot, retrieval, learning, gradients, settings].map(section => section(data))}
<footer>${data.footer}</footer>
</main>
</body>
</html>`}\n`

const summary = ({ targets }: ReportData): Html => {
  const ranges = targets.flatMap(({ overSeeds }) => (overSeeds ? [overSeeds] : []))
  return html`<section>
<h2>In short</h2>
<div class="scroll"><table class="wide">
<thead><tr><th scope="col">On pictures it has not seen</th><th scope="col" class="number">reached</th><th scope="col" class="number">target</th><th scope="col"></th>${ranges.length > 0 ? html`<th scope="col" class="number">${ranges[0].seeds} seeds</th>` : ''}</tr></thead>
<tbody>${targets.map(
    ({ name, value, target, overSeeds }) =>
      html`<tr><th scope="row">${name}</th><td class="number figure-value">${percent(value)}</td><td class="number">≥ ${percent(target, 0)}</td><td>${verdict(value >= target, 'reached', 'missed')}</td>${overSeeds ? html`<td class="number">${percentRange(overSeeds)}</td>` : ''}</tr>
`,
  )}</tbody></table></div>
${ranges.length > 0 ? html`<p>The last column is what ${ranges[0].seeds} trainings reached that differ in their seed: how far another training may be from this one.</p>` : ''}</section>
`
}

const learning = ({ curve }: ReportData): Html => html`<section>
<h2>How it learned</h2>
<p>The model minimizes two losses. The contrastive loss is small if the embeddings of a picture and its own caption are close, the
captioning loss if each next word is predicted. The scale is logarithmic.</p>
<figure>${lineChart({
  title: `Losses over ${curve.length} training steps, from ${curve[0]?.losses.total.toPrecision(3)} to ${curve[curve.length - 1]?.losses.total.toPrecision(3)}`,
  xLabel: 'step',
  yLabel: 'loss',
  x: curve.map(({ step }) => step),
  lines: Object.keys(curve[0]?.losses ?? {}).map(name => ({ name, values: curve.map(({ losses }) => losses[name]) })),
})}<figcaption>Training losses. Each point is a mean over neighbouring steps. Point at the chart for the numbers.</figcaption></figure>
</section>
`

function gradients({ checks }: ReportData): Html | undefined {
  if (checks.length === 0) return undefined
  const wrong = checks.filter(({ ok }) => !ok)
  const [worst] = [...checks].sort((a, b) => b.error - a.error)
  const seconds = checks.reduce((sum, check) => sum + check.seconds, 0)
  return html`<section>
<h2>Were its gradients right?</h2>
<p>${verdict(wrong.length === 0, `right in each of ${counted(checks.length)}`, `wrong in ${wrong.length} of ${counted(checks.length)}, first at step ${wrong[0]?.step.toLocaleString('en')}`)}</p>
<p>During training, the slope of the loss along a random direction through all parameters was computed twice: from the
gradient used for training, and by finite differences in double precision. The largest relative error was
${number(worst.error)}, at step ${worst.step.toLocaleString('en')}; errors up to ${worst.bound} count as rounding. All checks together took ${duration(seconds)}.</p>
${checks.length < 2 ? undefined : errorChart(checks)}
</section>
`
}

const counted = (checks: number): string => `${checks} check${checks === 1 ? '' : 's'}`

const errorChart = (checks: readonly GradientCheck[]): Html => html`<figure>${lineChart({
  title: `Relative errors of the gradient in ${checks.length} checks`,
  xLabel: 'step',
  yLabel: 'relative error',
  x: checks.map(({ step }) => step),
  lines: [
    { name: 'error', values: checks.map(({ error }) => error) },
    { name: 'bound', values: checks.map(({ bound }) => bound) },
  ],
})}<figcaption>The relative difference between the two, and the largest that counts as rounding.</figcaption></figure>
`

const captions = ({ captions }: ReportData): Html => html`<section>
<h2>Its captions of new pictures</h2>
<p>The first few right ones, then some wrong ones, even if those are rare.</p>
${gallery(captions)}
</section>
`

/** A cell whose colour is its value from 0 to 1. */
const heat = (value: number, text: string, title: string, className = ''): Html =>
  html`<td class="${className} ${value > 0.55 ? 'strong' : ''}" style="--v:${Math.max(0, Math.min(1, value)).toFixed(2)}" title="${title}">${text}</td>`

const similarity = ({ similarity: { pictures, captions, values } }: ReportData): Html => html`<section>
<h2>One space for pictures and words</h2>
<p>The cosine between the embedding of every caption and every picture of a sample. A caption’s own picture is framed. The
model has learned well if the framed cells are the strongest of their rows and columns.</p>
<figure><div class="scroll"><table class="heat">
<thead><tr><td></td>${pictures.map(picture => html`<th scope="col">${image(picture)}</th>`)}</tr></thead>
<tbody>${captions.map(
  (caption, i) => html`<tr><th scope="row">${caption}</th>${values[i].map((value, j) =>
    heat(value, value.toFixed(2).replace('-', '−'), `“${caption}” and ${pictures[j].alt}`, i === j ? 'own' : ''),
  )}</tr>
`,
)}</tbody></table></div>
<figcaption><span class="key solid"></span> a caption and its own picture</figcaption></figure>
</section>
`

function zeroShot({ zeroShot: { pairs, confusions } }: ReportData): Html {
  const colours = [...new Set(pairs.map(({ colour }) => colour))]
  const shapes = [...new Set(pairs.map(({ shape }) => shape))]
  const cell = (colour: string, shape: string) => {
    const pair = pairs.find(each => each.colour === colour && each.shape === shape)
    if (!pair || pair.count === 0) return html`<td style="--v:0">–</td>`
    const heldOut = pair.heldOut ? ', never seen in training' : ''
    const title = `${colour} ${shape}${heldOut}: ${percent(pair.accuracy)} of ${pair.count} pictures`
    return heat(pair.accuracy, percent(pair.accuracy, 0), title, pair.heldOut ? 'held-out' : '')
  }
  return html`<section>
<h2>Zero-shot classification</h2>
<p>Each picture of one object gets the colour–shape name in the nearest caption: “a small …” or “a large …” and one of
${pairs.length} names. The dashed pairs never occurred in training: the model knows their colour and their shape only from other pairs.</p>
<figure><div class="scroll"><table class="heat pairs">
<thead><tr><td></td>${shapes.map(shape => html`<th scope="col">${shape}</th>`)}</tr></thead>
<tbody>${colours.map(
    colour => html`<tr><th scope="row">${colour}</th>${shapes.map(shape => cell(colour, shape))}</tr>
`,
  )}</tbody></table></div>
<figcaption><span class="key"></span> held out of training. Each cell is the share of that pair’s pictures with the right name.</figcaption></figure>
${confusions.length === 0 ? html`<p class="note">Every picture got its right name.</p>` : confusionTable(confusions)}
</section>
`
}

const confusionTable = (
  confusions: ReportData['zeroShot']['confusions'],
): Html => html`<h3>Its most frequent mistakes</h3>
<div class="scroll"><table>
<thead><tr><th scope="col">a picture of</th><th scope="col">was called</th><th scope="col" class="number">times</th></tr></thead>
<tbody>${confusions.map(
  ({ truth, answer, count }) => html`<tr><td>${truth}</td><td>${answer}</td><td class="number">${count}</td></tr>
`,
)}</tbody></table></div>
`

const retrieval = ({ retrieval: { pictures, rows } }: ReportData): Html => html`<section>
<h2>Finding one among ${pictures.toLocaleString('en')}</h2>
<p>How often the right result is first, among the first five and among the first ten in a search of ${pictures.toLocaleString('en')} unseen
pictures by their captions, and of the captions by the pictures. Equal captions are equally right.</p>
<div class="scroll"><table class="wide">
<thead><tr><th scope="col">search</th><th scope="col" class="number">first</th><th scope="col" class="number">in five</th><th scope="col" class="number">in ten</th><th scope="col" class="number">median rank</th></tr></thead>
<tbody>${rows.map(
  ({
    direction,
    recall,
    medianRank,
  }) => html`<tr><th scope="row">${direction}</th><td class="number figure-value">${percent(recall[1])}</td><td class="number">${percent(recall[5])}</td><td class="number">${percent(recall[10])}</td><td class="number">${medianRank}</td></tr>
`,
)}</tbody></table></div>
</section>
`

const pooler = ({ pooler, grid }: ReportData): Html => html`<section>
<h2>Where it looks for the whole picture</h2>
<p>The attentional pooler summarizes a picture in one embedding. Bright patches contribute most to it.</p>
<div class="looks">${pooler.map(
  ({
    picture,
    caption,
    attention,
  }) => html`<figure><div class="both">${image(picture)}${attended(picture, attention, grid, `Attention over the picture of ${caption}`)}</div><figcaption>${caption}</figcaption></figure>
`,
)}</div>
</section>
`

const tokenStrips = ({ tokens, grid }: ReportData): Html => html`<section>
<h2>Where it looks for each word</h2>
<p>The decoder attends to the picture again for every word of a caption. The number below a word is its probability.</p>
${tokens.map(
  ({ picture, caption, tokens }) => html`<h3>“${caption}”</h3>
<ol class="strip"><li>${image(picture)}<span><small>the picture</small></span></li>${tokens.map(
    ({
      text,
      probability,
      attention,
    }) => html`<li>${attended(picture, attention, grid, `Attention for “${text}”`)}<span>${text}<br><small>${percent(probability, 0)}</small></span></li>
`,
  )}</ol>
`,
)}
</section>
`

const settings = ({ settings }: ReportData): Html => html`<section>
<h2>The model and its training</h2>
<dl class="settings">${Object.entries(settings).map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>
</section>
`
