// Einstein summation: sums of products, defined by labels of axes. Two operands become one batched matrix product; more are
// contracted from left to right. All of it uses differentiable operations, so no rules are needed.

import { takes } from '../../tensor/arguments.ts'
import { eye, ShapeError, show, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { where } from './elementwise.ts'
import { matmul } from './matmul.ts'

interface Labelled {
  readonly x: Tensor
  /** one label per axis */
  readonly axes: readonly string[]
}

const unique = (labels: readonly string[]) => [...new Set(labels)]
const without = (labels: readonly string[], others: readonly string[]) =>
  labels.filter(label => !others.includes(label))
const within = (labels: readonly string[], others: readonly string[]) => labels.filter(label => others.includes(label))

/** Takes the diagonal of a repeated label: sets other elements to 0 and sums over the second axis. */
function diagonal({ x, axes }: Labelled): Labelled {
  const second = axes.findIndex((label, i) => axes.indexOf(label) < i)
  if (second < 0) return { x, axes }
  const first = axes.indexOf(axes[second])
  const n = x.shape[first]
  const mask = eye(n, n, { dtype: 'bool', device: x.device }).reshape(
    x.shape.map((_, i) => (i === first || i === second ? n : 1)),
  )
  return diagonal({ x: where(mask, x, 0).sum({ axis: second }), axes: axes.filter((_, i) => i !== second) })
}

function sumOver({ x, axes }: Labelled, gone: readonly string[]): Labelled {
  if (gone.length === 0) return { x, axes }
  return { x: x.sum({ axis: gone.map(label => axes.indexOf(label)) }), axes: without(axes, gone) }
}

/** Axes in a given order; missing axes are added with size 1. */
function arrange({ x, axes }: Labelled, order: readonly string[]): Tensor {
  const present = order.filter(label => axes.includes(label))
  const permuted = x.permute(present.map(label => axes.indexOf(label)))
  return permuted.reshape(order.map(label => (axes.includes(label) ? x.shape[axes.indexOf(label)] : 1)))
}

/** Contracts two operands over every label that is not kept. */
function contract(a: Labelled, b: Labelled, kept: readonly string[]): Labelled {
  const left = sumOver(a, without(without(a.axes, b.axes), kept))
  const right = sumOver(b, without(without(b.axes, a.axes), kept))
  const shared = within(left.axes, right.axes)
  const batch = within(shared, kept)
  const inner = without(shared, kept)
  const rows = without(left.axes, shared)
  const columns = without(right.axes, shared)
  // the size of an axis is that of the operand that has it, or has it longer than 1
  const size = (label: string) =>
    [left, right].map(({ x, axes }) => x.shape[axes.indexOf(label)] ?? 1).find(n => n !== 1) ?? 1
  const total = (labels: readonly string[]) => labels.reduce((product, label) => product * size(label), 1)
  const sizes = batch.map(size)
  // a shared axis may have size 1 in one operand, which is then repeated
  const grown = ({ x, axes }: Labelled): Labelled => ({
    x: x.expand(axes.map((label, i) => (shared.includes(label) ? size(label) : x.shape[i]))),
    axes,
  })
  const l = arrange(grown(left), [...batch, ...rows, ...inner]).reshape([...sizes, total(rows), total(inner)])
  const r = arrange(grown(right), [...batch, ...inner, ...columns]).reshape([...sizes, total(inner), total(columns)])
  return {
    x: matmul(l, r).reshape([...sizes, ...rows.map(size), ...columns.map(size)]),
    axes: [...batch, ...rows, ...columns],
  }
}

/** Labels of a term, with the axes of an ellipsis numbered from the last: …2, …1, …0. */
function labelsOf(term: string, rank: number, equation: string, shape: readonly number[]): string[] {
  const [head, tail] = term.split('...')
  const covered = tail === undefined ? 0 : rank - head.length - tail.length
  const labels = [
    ...head,
    ...Array.from({ length: Math.max(0, covered) }, (_, i) => `…${covered - 1 - i}`),
    ...(tail ?? ''),
  ]
  if (labels.length !== rank || covered < 0)
    throw new ShapeError(`einsum "${equation}": "${term}" must have one label for each axis of ${show(shape)}`, shape)
  return labels
}

/**
 * Sums of products by named axes: `einsum('bqd,bkd->bqk', queries, keys)`. Without `->` the result has every label that
 * occurs once, in alphabetical order. `...` stands for leading axes that broadcast. A label repeated in one operand takes a diagonal.
 * @throws ShapeError if an axis has two sizes or the equation does not match the operands
 */
export const einsum = takes(
  'einsum(equation, ...operands)',
  [is.text, is.rest(is.tensor)],
  (equation: string, ...operands: Tensor[]): Tensor => {
    const [inputs, given, ...rest] = equation.replaceAll(' ', '').split('->')
    const terms = inputs.split(',')
    const shapes = operands.map(x => x.shape)
    if (rest.length > 0) throw new ShapeError(`einsum "${equation}": "->" may occur only once`, ...shapes)
    if (
      terms.length !== operands.length ||
      !/^[A-Za-z.,]*$/.test(inputs) ||
      (given !== undefined && !/^[A-Za-z.]*$/.test(given))
    )
      throw new ShapeError(
        `einsum "${equation}": must have one term of letters for each operand, separated by commas; operands given: ${operands.length}`,
        ...shapes,
      )
    const labelled = operands.map((x, i) => ({ x, axes: labelsOf(terms[i], x.rank, equation, x.shape) }))

    const all = unique(labelled.flatMap(({ axes }) => axes))
    const ellipsis = all.filter(label => label.startsWith('…')).sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)))
    const once = without(all, ellipsis).filter(
      label => labelled.flatMap(({ axes }) => axes).filter(l => l === label).length === 1,
    )
    const output =
      given === undefined
        ? [...ellipsis, ...once.sort()]
        : given.includes('...')
          ? given.split('...').flatMap((part, i) => (i === 0 ? [...part, ...ellipsis] : [...part]))
          : [...given]

    for (const label of all) {
      const sizes = unique(
        labelled.flatMap(({ x, axes }) => axes.flatMap((l, i) => (l === label ? [String(x.shape[i])] : []))),
      )
      if (sizes.length > 1 && !(label.startsWith('…') && sizes.length === 2 && sizes.includes('1')))
        throw new ShapeError(
          `einsum "${equation}": axis "${label}" has sizes ${sizes.join(' and ')} in ${shapes.map(show).join(' and ')}`,
          ...shapes,
        )
    }
    const unknown = without(output, all)
    if (unknown.length > 0 || unique(output).length !== output.length)
      throw new ShapeError(
        `einsum "${equation}": the axes of the result, "${output.join('')}", must be distinct labels of the operands`,
        ...shapes,
      )

    const parts = labelled.map(diagonal)
    const result = parts
      .slice(1)
      .reduce(
        (left, right, i) =>
          contract(left, right, unique([...output, ...parts.slice(i + 2).flatMap(part => part.axes)])),
        parts[0],
      )
    const summed = sumOver(result, without(result.axes, output))
    return summed.x.permute(output.map(label => summed.axes.indexOf(label)))
  },
)
