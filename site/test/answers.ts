// Wrong answers to the tasks of the learner's path and to the exercises, as people give them, and what the page is to say of each.

/** A text in a program, and what is written in its place. */
type Change = readonly [from: string, to: string]

export interface WrongAnswer {
  readonly what: string
  /** the whole program, or changes to the task or, where it says so, to the solution */
  readonly program?: string
  readonly task?: readonly Change[]
  readonly solution?: readonly Change[]
  /** what the verdict says, or, of a program that fails, its error */
  readonly says: RegExp
  /** the line of the error of a program that fails */
  readonly line?: number
}

const changed = (text: string, changes: readonly Change[]): string =>
  changes.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`“${from}” is not in\n${text}`)
    return text.replaceAll(from, () => to)
  }, text)

/** The program of an answer. */
export const programOf = (answer: WrongAnswer, task: string, solution: string): string =>
  answer.program ?? (answer.solution ? changed(solution, answer.solution) : changed(task, answer.task ?? []))

/** By the address of the page, for each of its tasks. */
export const wrongAnswers: Readonly<Record<string, readonly (readonly WrongAnswer[])[]>> = {
  'learn/index': [
    [
      { what: 'a wrong value', program: 'const answer = 43\nanswer', says: /answer is 43, and should be 42/ },
      { what: 'NaN', program: 'const answer = NaN\nanswer', says: /answer is NaN/ },
      { what: 'another kind', program: "const answer = '42'\nanswer", says: /answer is a string/ },
    ],
  ],
  'learn/tensor': [
    [
      { what: 'a wrong value', task: [['x.mean()', 'tensor([1, 5])']], says: /are 2 and 5, not 1 and 5/ },
      { what: 'NaN', task: [['x.mean()', 'tensor([NaN, 5])']], says: /not NaN and 5/ },
      { what: 'the wrong axis', task: [['x.mean()', 'x.mean({ axis: 0 })']], says: /means of the columns/ },
      { what: 'another kind', task: [['x.mean()', '[2, 5]']], says: /average is a list, not a tensor/ },
      {
        what: 'an axis too many',
        task: [['x.mean()', 'x.mean({ axis: 1, keepDims: true })']],
        says: /\[2, 1\].*leave keepDims out/,
      },
      {
        what: 'an axis that is not there',
        task: [['x.mean()', 'x.mean({ axis: 2 })']],
        says: /mean: .*axis.*2/,
        line: 7,
      },
    ],
  ],
  'learn/gradient': [
    [
      { what: 'a wrong value', task: [['tensor(2)', 'tensor(1)']], says: /the higher valley/ },
      { what: 'NaN', task: [['0.02', '10']], says: /x is no number any more: the steps are too long/ },
      {
        what: 'a wrong gradient',
        task: [
          ['tensor(2)', 'tensor(-2)'],
          ['grad(f)(x)', 'x'],
        ],
        says: /slope is still/,
      },
      {
        what: 'a wrong shape',
        task: [['tensor(2)', 'tensor([2, -2])']],
        says: /GradientError: the result has shape \[2\].*sum it/,
        line: 6,
      },
    ],
  ],
  'learn/model': [
    [
      {
        what: 'a wrong value',
        task: [['step < 300', 'step < 600']],
        says: /should say 0, 1, 1, 0. Try a wider hidden/,
      },
      { what: 'NaN', solution: [['0.05', 'NaN']], says: /RangeError: learningRate = NaN/, line: 6 },
      { what: 'too few steps', solution: [['step < 300', 'step < 5']], says: /Train longer, or with a larger/ },
      {
        what: 'a wrong shape',
        task: [['[[0], [1], [1], [0]]', '[0, 1, 1, 0]']],
        says: /targets have the shape \[4\], so each answer is compared with all/,
      },
      {
        what: 'a wrong gradient',
        solution: [['.square()', '.square().neg()']],
        says: /the loss is -.*a mean of squares is a number from 0 on/,
      },
    ],
  ],
  'learn/transformer': [
    [
      {
        what: 'a wrong value',
        task: [['this.numbers.forward(ids)', 'this.numbers.forward(ids).mul(0)']],
        says: /does not depend on the last number/,
      },
      {
        what: 'NaN',
        task: [['this.numbers.forward(ids)', 'this.numbers.forward(ids).mul(NaN)']],
        says: /predictions are not finite: there is NaN/,
      },
      {
        what: 'a wrong shape',
        task: [['this.output.forward(this', '(this']],
        says: /have the shape \[1, 4, 16\], and should have \[1, 4, 10\]/,
      },
      {
        what: 'each number alone',
        task: [['this.block.forward(this.numbers.forward(ids))', 'this.numbers.forward(ids)']],
        says: /must still look at the numbers before/,
      },
    ],
  ],
  'learn/poolers': [
    [
      {
        what: 'a wrong shape',
        task: [
          [
            'const generative = new AttentionalPooler({ queries: 1',
            'const generative = new AttentionalPooler({ queries: 6',
          ],
        ],
        says: /six tokens: good/,
      },
      {
        what: 'a wrong value',
        solution: [['queries: 1, width: 32', 'queries: 2, width: 32']],
        says: /summary has the shape \[2, 2, 32\]/,
      },
      {
        what: 'widths that do not fit',
        solution: [[', memoryWidth: 48', '']],
        says: /ShapeError: AttentionalPooler: tokens must be \[batch, tokens, 32\], not \[2, 16, 48\]/,
        line: 8,
      },
      {
        what: 'NaN',
        solution: [['queries: 6', 'queries: NaN']],
        says: /OptionsError: .*queries must be a whole number above 0, not NaN/,
        line: 5,
      },
    ],
  ],
  'learn/losses': [
    [
      {
        what: 'a wrong value',
        solution: [
          ['diagonal).add(', 'diagonal).div(2).add('],
          ['.crossEntropy(diagonal))', '.crossEntropy(diagonal).div(2))'],
        ],
        says: /mean of both directions/,
      },
      { what: 'NaN', solution: [['.mul(scale)', '.mul(NaN)']], says: /the loss is NaN/ },
      {
        what: 'a wrong shape',
        solution: [['diagonal).add', "diagonal, { reduction: 'none' }).add"]],
        says: /ShapeError: item: the tensor must have one element/,
        line: 12,
      },
      {
        what: 'no gradient',
        task: [['return scores.crossEntropy(diagonal)', 'return scores.crossEntropy(diagonal).mul(2)']],
        says: /columns of a matrix/,
      },
    ],
  ],
  'learn/coca': [
    [
      {
        what: 'the other loss',
        task: [['contrastive: { weight: 1 }', 'contrastive: { weight: 0 }']],
        says: /contrastive loss is gone/,
      },
      { what: 'a wrong value', task: [['{ weight: 2 }', '{ weight: 1 }']], says: /still computed/ },
      { what: 'another weight', solution: [['{ weight: 1 }', '{ weight: 3 }']], says: /should stay 1/ },
      { what: 'NaN', task: [['{ weight: 2 }', '{ weight: NaN }']], says: /set its weight to 0/ },
      {
        what: 'a wrong shape',
        solution: [['[4, 3, 32, 32]', '[4, 3, 16, 16]']],
        says: /ShapeError: PatchEmbedding: images must be \[batch, 3, 32, 32\], not \[4, 3, 16, 16\]/,
        line: 11,
      },
    ],
  ],
  'learn/gradcheck': [
    [
      { what: 'a wrong gradient', task: [['() => g]', '() => g.mul(result)]']], says: /not at first order/ },
      {
        what: 'wrong at second order',
        task: [['() => g]', '() => g.mul(result).mul(result.neg().add(1)).stopGradient()]']],
        says: /right at first order, wrong at second/,
      },
      { what: 'NaN', task: [['() => g]', '() => g.mul(NaN)]']], says: /derivatives are not finite/ },
      {
        what: 'a wrong shape',
        task: [['() => g]', '() => g.sum()]']],
        says: /GradientError: logistic: the gradient of argument 0 has shape \[\].*\[3\]/,
        line: 9,
      },
    ],
  ],
  'learn/devices': [
    [
      {
        what: 'a wrong value',
        solution: [['10_000', '9_999']],
        says: /the sum is 999\.9.*off by 1\.0e-1/,
      },
      { what: 'NaN', task: [['await total.item()', 'NaN']], says: /the sum is NaN/ },
      {
        what: 'a wrong shape',
        task: [['full([], 0)', 'full([2], 0)']],
        says: /ShapeError: item: the tensor must have one element, and \[2\] has 2/,
        line: 6,
      },
      { what: 'another kind', task: [['await total.item()', 'total']], says: /result is a tensor/ },
    ],
  ],
  'teach/exercises': [
    [
      {
        what: 'a wrong gradient',
        task: [['() => g]', '() => g.mul(x.tanh())]']],
        says: /4 of 8 derivatives disagree.*the tape gives.*finite differences give/s,
      },
      { what: 'NaN', task: [['() => g]', '() => g.mul(NaN)]']], says: /are not finite.*the tape gives NaN/s },
      {
        what: 'a wrong shape',
        task: [['() => g]', '() => g.sum()]']],
        says: /the gradient of argument 0 has shape \[\].*\[4\]/,
      },
      { what: 'no gradient', task: [['() => g]', '() => undefined]']], says: /the tape gives 0,/ },
    ],
    [
      {
        what: 'a wrong gradient',
        task: [['g.mul(x)]', 'g.mul(x).div(y)]']],
        says: /input 1 .*the tape gives.*input 1 is y/s,
      },
      {
        what: 'NaN',
        task: [['g.mul(x)]', 'g.mul(x).div(0).sub(g.mul(x).div(0))]']],
        says: /are not finite.*the tape gives NaN/s,
      },
      {
        what: 'a wrong shape',
        task: [['g.mul(x)]', 'g.mul(x).sum()]']],
        says: /the gradient of argument 1 has shape \[\]/,
      },
    ],
    [
      {
        what: 'a wrong gradient',
        solution: [['a.transpose().matmul(g)', 'a.transpose().matmul(g).mul(2)']],
        says: /12 of 36 derivatives disagree.*input 1/s,
      },
      {
        what: 'NaN',
        solution: [['g.matmul(b.transpose())', 'g.matmul(b.transpose()).mul(NaN)']],
        says: /are not finite.*the tape gives NaN/s,
      },
      {
        what: 'a wrong shape',
        solution: [['g.matmul(b.transpose())', 'b.matmul(g.transpose())']],
        says: /the gradient of argument 0 has shape \[3, 2\].*\[2, 3\]/,
      },
    ],
    [
      {
        what: 'a wrong factor',
        solution: [['mul(2 / x.shape[0])', 'mul(2)']],
        says: /4\.000 times the right one: which factors/,
      },
      {
        what: 'a wrong value',
        solution: [['error = x.matmul(w).sub(y)', 'error = x.matmul(w).add(y)']],
        says: /differs by up to/,
      },
      { what: 'NaN', solution: [['2 / x.shape[0]', 'NaN']], says: /the gradient is not finite: there is NaN/ },
      {
        what: 'a wrong shape',
        task: [['zeros(w.shape)', 'w.sum()']],
        says: /the gradient has the shape \[\], and w has \[2, 1\]/,
      },
    ],
    [
      {
        what: 'a wrong gradient',
        solution: [['g.sub(g.mul(y)', 'g.add(g.mul(y)']],
        says: /12 of 12 derivatives disagree/,
      },
      { what: 'NaN', solution: [['y.mul(g', 'y.mul(NaN).mul(g']], says: /are not finite.*the tape gives NaN/s },
      {
        what: 'a wrong shape',
        solution: [[', keepDims: true', '']],
        says: /sub: \[2, 3\] and \[2\] do not broadcast/,
        line: 9,
      },
    ],
    [
      { what: 'a wrong gradient', task: [['mul(2)', 'mul(3)']], says: /at first order, too/ },
      { what: 'NaN', task: [['mul(2)', 'mul(NaN)']], says: /at first order, too/ },
      {
        what: 'a wrong shape',
        task: [['g.div(y.stopGradient().mul(2))', 'g.sum()']],
        says: /the gradient of argument 0 has shape \[\].*\[3\]/,
      },
    ],
  ],
}
