// Runs a function on a tape, walks back over it one operation at a time, and keeps everything that can be seen on the way.

import { type Entry, onesLike, show, Tape, Tensor } from 'cocagrad'
import { layout } from './layout.ts'
import { located, type Program } from './program.ts'
import type { Addition, Bug, Edge, Node, Order, Step, Trace, Values } from './protocol.ts'

/** More operations than this are not drawn. */
const MOST = 250

const valuesOf = (x: Tensor): Values => ({
  shape: x.shape,
  dtype: x.dtype,
  numbers: Float64Array.from(x.dataSync().subarray(0, 256)),
})

interface Recorded {
  readonly tape: Tape
  readonly result: Tensor
  /** number of entries that the first order's backward pass had not recorded yet */
  readonly forward: number
}

/** The tape of the function. */
function first({ names, inputs, f }: Program): Recorded {
  const tape = new Tape()
  for (const [i, x] of inputs.entries()) tape.watch(x, names[i])
  const result = tape.run(() => f(...inputs))
  check(result)
  return { tape, result, forward: tape.entries.length }
}

/** The tape of the gradient: of the sum of all derivatives of the function. */
function second({ names, inputs, f }: Program): Recorded {
  const tape = new Tape()
  for (const [i, x] of inputs.entries()) tape.watch(x, names[i])
  let forward = 0
  const result = tape.run(() => {
    const inner = new Tape()
    for (const x of inputs) inner.watch(x)
    const value = inner.run(() => f(...inputs))
    check(value)
    forward = tape.entries.length
    const gradients = inner.gradient(value, inputs, onesLike(value))
    return gradients.map(gradient => gradient.sum()).reduce((sum, each) => sum.add(each))
  })
  return { tape, result, forward }
}

function check(result: unknown): asserts result is Tensor {
  if (result instanceof Tensor) return
  throw new TypeError('the function must return a tensor: is a return missing?')
}

/** An argument that is no tensor, in words. */
function inWords(arg: unknown): string {
  if (arg instanceof Tensor || arg === undefined) return ''
  if (Array.isArray(arg)) return arg.every(each => typeof each === 'number') ? `[${arg.join(', ')}]` : ''
  if (typeof arg === 'object' && arg !== null)
    return Object.entries(arg)
      .map(([key, value]) => [key, inWords(value)])
      .filter(([, text]) => text !== '')
      .map(([key, text]) => `${key}: ${text}`)
      .join(', ')
  return typeof arg === 'function' ? '' : String(arg)
}

const options = (args: readonly unknown[]): string =>
  args
    .map(inWords)
    .filter(text => text !== '')
    .join(', ')

/** What a rule computes, as an expression of named tensors. */
function expressionOf(part: Tensor, by: readonly Entry[], names: ReadonlyMap<Tensor, string>, depth = 0): string {
  const known = names.get(part)
  if (known !== undefined) return known
  const entry = by.find(({ result }) => result === part)
  if (!entry) return `constant ${show(part.shape)}`
  if (depth > 5) return '…'
  const args = entry.args.flatMap(arg => {
    if (arg instanceof Tensor) return [expressionOf(arg, by, names, depth + 1)]
    const text = inWords(arg)
    return text === '' ? [] : [text]
  })
  return `${entry.name}(${args.join(', ')})`
}

/** The backward pass, operation by operation: what `Tape.gradient` does, and what it sees. */
function walk({ tape, result }: Recorded, numbers: ReadonlyMap<Tensor, number>, labels: ReadonlyMap<Tensor, string>) {
  const gradients = new Map<Tensor, Tensor>([[result, onesLike(result)]])
  const counts = new Map<Tensor, number>()
  const steps: Step[] = []
  for (const entry of [...tape.entries].reverse()) {
    const gradient = gradients.get(entry.result)
    if (!gradient) continue
    const tensors = entry.args.filter(arg => arg instanceof Tensor)
    // the rule is recorded too, to show what it computes
    const seen = new Tape()
    const names = new Map(tensors.map(arg => [arg, labels.get(arg) ?? 'constant']))
    names.set(entry.result, 'y').set(gradient, 'g')
    for (const x of new Set([gradient, entry.result, ...tensors])) if (x.dtype.startsWith('float')) seen.watch(x)
    const additions: Addition[] = []
    const thunks = seen.run(() => entry.rule(gradient))
    entry.args.forEach((arg, i) => {
      if (!(arg instanceof Tensor && tape.tracks(arg))) return
      const part = seen.run(() => thunks[i]?.())
      if (!part) return
      const isSummed = part.shape.length !== arg.rank || part.shape.some((size, axis) => size !== arg.shape[axis])
      const summed = isSummed ? part.sumTo(arg.shape) : part
      const added = summed.dtype === arg.dtype ? summed : summed.cast(arg.dtype)
      const before = gradients.get(arg)
      const total = before ? before.add(added) : added
      gradients.set(arg, total)
      const count = (counts.get(arg) ?? 0) + 1
      counts.set(arg, count)
      additions.push({
        node: numbers.get(arg)!,
        expression: expressionOf(part, seen.entries, names),
        ...(isSummed ? { summedFrom: part.shape } : {}),
        gradient: valuesOf(total),
        count,
      })
    })
    steps.push({ node: numbers.get(entry.result)!, additions })
  }
  return { steps, gradients }
}

const sameNumbers = (a: Tensor, b: Tensor): boolean => {
  const [x, y] = [a.dataSync(), b.dataSync()]
  return x.length === y.length && x.every((value, i) => Object.is(value, y[i]) || value === y[i])
}

export async function trace(program: Program, order: Order, bug?: Bug): Promise<Trace> {
  let recorded: Recorded
  try {
    recorded = order === 1 ? first(program) : second(program)
  } catch (error) {
    throw located(error)
  }
  const { tape, result, forward } = recorded
  const { entries } = tape
  if (entries.length > MOST)
    throw new RangeError(
      `the ${order === 1 ? 'function' : 'gradient'} has ${entries.length} operations; at most ${MOST} are drawn: take a smaller part of it`,
    )
  if (!tape.tracks(result))
    throw new RangeError(
      order === 1
        ? 'the result depends on no input: compute it from the inputs that the function is given'
        : 'the gradient does not depend on the inputs, so its derivatives are all 0: the function is linear',
    )

  const numbers = new Map<Tensor, number>()
  const labels = new Map<Tensor, string>()
  const nodes: Omit<Node, 'x' | 'y'>[] = []
  const edges: Pick<Edge, 'from' | 'to'>[] = []
  const add = (x: Tensor, node: Pick<Node, 'kind' | 'name'> & Partial<Node>): void => {
    numbers.set(x, nodes.length)
    labels.set(x, node.kind === 'operation' ? `${node.name} ${nodes.length}` : node.name)
    nodes.push({ options: '', isBackward: false, isFaulty: false, values: valuesOf(x), ...node })
  }
  for (const [x, name] of tape.watched) add(x, { kind: 'input', name })
  entries.forEach(({ name, args, result: y }, i) => {
    for (const arg of args)
      if (arg instanceof Tensor && !numbers.has(arg)) add(arg, { kind: 'constant', name: 'constant' })
    const from = args.filter(arg => arg instanceof Tensor).map(arg => numbers.get(arg)!)
    add(y, {
      kind: 'operation',
      name,
      options: options(args),
      isBackward: i >= forward,
      isFaulty: name === bug?.operation,
    })
    for (const each of new Set(from)) edges.push({ from: each, to: numbers.get(y)! })
  })
  for (const [x, n] of numbers) if (nodes[n].kind === 'operation') labels.set(x, `${nodes[n].name}`)

  const { steps, gradients } = walk(recorded, numbers, labels)
  const own = tape.gradient(result, [...tape.watched.keys()], onesLike(result))
  const agrees = [...tape.watched.keys()].every((x, i) => {
    const gradient = gradients.get(x)
    return gradient ? sameNumbers(gradient, own[i]) : own[i].dataSync().every(value => value === 0)
  })
  const placed = await layout(nodes.length, edges)
  return {
    order,
    nodes: nodes.map((node, i) => ({ ...node, ...placed.nodes[i] })),
    edges: placed.edges,
    width: placed.width,
    height: placed.height,
    result: numbers.get(result)!,
    seed: valuesOf(onesLike(result)),
    steps,
    operations: [...new Set(entries.map(({ name }) => name))],
    text: tape.toString({ values: true }),
    agrees,
  }
}
