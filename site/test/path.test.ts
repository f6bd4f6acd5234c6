// The learner's path from its first page to its last, and the exercises for a lecture, as a new reader goes through them: every link is
// followed, every task is answered by typing, wrongly in several ways and then rightly.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { type Program, programsOf } from '../repl/programs.ts'
import { programOf, type WrongAnswer, wrongAnswers } from './answers.ts'
import { isLong, skip, visit } from './site.ts'

const tasksOf = async (address: string) => {
  const programs = programsOf(await readFile(join(import.meta.dirname, `../${address}.md`), 'utf8'))
  const of = (wanted: Program['kind']) => programs.filter(({ kind }) => kind === wanted)
  const solutions = of('solution')
  return of('task').map(({ code }, i) => ({ task: code, solution: solutions[i].code }))
}

/** What goes wrong in any task: no program, half a line, a loop without end. */
const inAnyTask = (task: string): readonly WrongAnswer[] => [
  { what: 'nothing', program: '', says: /the check looks at \w+, which the program does not have any more/ },
  {
    what: 'a line that is no program',
    program: `${task}\nconst = 1`,
    says: /SyntaxError/,
    line: task.split('\n').length + 1,
  },
]

/** The tasks that have no editor yet; their solutions are folded. */
const unopened = '.program.task:not(details *)'

/** The pages by which the path leads, and the words of the link to the next one. */
const path: readonly (readonly [address: string, next?: string])[] = [
  ['learn/index', 'Begin with a first tensor'],
  ['learn/tensor', 'a first gradient'],
  ['learn/gradient', 'a first model'],
  ['learn/model', 'a first transformer'],
  ['learn/transformer', 'attentional poolers'],
  ['learn/poolers', 'the two losses'],
  ['learn/losses', 'CoCa'],
  ['learn/coca', 'checking gradients'],
  ['learn/gradcheck', 'devices'],
  ['learn/devices'],
]
/** The tasks that are answered here; without `COCAGRAD_TESTS=long` those of the first step and one of gradients. */
const answered = isLong ? Object.keys(wrongAnswers) : ['learn/tensor', 'learn/gradcheck']

describe('a reader who begins', { skip }, () => {
  const site = visit()

  /** Types a program in the place of what the editor has, and runs it, with the keyboard alone. */
  async function type(page: Page, code: string): Promise<void> {
    await page.keyboard.press('Control+a')
    await page.keyboard.press('Delete')
    if (code !== '') await page.keyboard.insertText(code)
    await page.keyboard.press('Control+Enter')
  }
  const ended = (page: Page, task: Locator) =>
    task.and(page.locator('[data-state=finished], [data-state=failed]')).waitFor({ timeout: 120_000 })
  const statusOf = (task: Locator) => task.locator('.status').textContent()

  /** What the page says of wrong answers and should not. */
  const mistakes: string[] = []

  /** Opens the first task that is not open yet, answers it wrongly in all ways, and then rightly. */
  async function answer(
    page: Page,
    address: string,
    number: number,
    { task, solution }: { task: string; solution: string },
    wrong: readonly WrongAnswer[],
  ) {
    await page.locator(unopened).first().getByRole('button', { name: 'Edit' }).click()
    const block = page.getByRole('group', { name: 'Task' }).nth(number)
    await block.getByRole('textbox', { name: 'Task' }).and(page.locator(':focus')).waitFor()
    for (const each of [...inAnyTask(task), ...wrong]) {
      await type(page, programOf(each, task, solution))
      await ended(page, block)
      const verdicts = await block.locator('.verdict').allTextContents()
      const said = verdicts[0] ?? (await block.getByRole('alert').textContent()) ?? ''
      const place = await statusOf(block)
      const isTold = each.line === undefined ? said.startsWith('Not yet: ') : place === `Failed at line ${each.line}`
      if (!isTold || !each.says.test(said))
        mistakes.push(`${address}, task ${number + 1}, ${each.what}: ${place}: ${said}`)
    }
    await type(page, `${task}\nfor (;;) {}`)
    await block.and(page.locator('[data-state=running]')).waitFor()
    if (isLong && number === 0) await block.getByText('Still running. Stop ends a program').waitFor()
    await block.getByRole('button', { name: 'Stop', exact: true }).click()
    assert.equal(await statusOf(block), 'Stopped')
    await block.getByRole('textbox', { name: 'Task' }).focus()
    await type(page, solution)
    await ended(page, block)
    assert.deepEqual(await block.locator('.verdict').allTextContents(), ['The check passes.'])
  }

  async function answerAll(page: Page, address: string): Promise<void> {
    const tasks = await tasksOf(address)
    assert.equal(tasks.length, wrongAnswers[address].length, `${address}: each task has wrong answers`)
    for (const [i, task] of tasks.entries()) await answer(page, address, i, task, wrongAnswers[address][i])
  }

  test('is led from page to page, told what is wrong with an answer, and taken at the right one', async () => {
    const { page, errors, close } = await site.open('')
    await page.getByRole('button', { name: 'Learn', exact: true }).click()
    await page.getByRole('link', { name: 'A path in nine steps' }).click()
    for (const [address, next] of path) {
      await page.waitForURL(`${site.url}${address.replace(/index$/, '')}*`)
      await page.locator(unopened).waitFor()
      if (answered.includes(address)) await answerAll(page, address)
      if (next) await page.getByRole('main').getByRole('link', { name: next, exact: true }).last().click()
    }
    assert.deepEqual(errors, [])
    assert.equal(mistakes.join('\n'), '')
    await close()
  })

  test('does the exercises of a lecture', { skip: isLong ? false : 'the long tests do them' }, async () => {
    const { page, errors, close } = await site.open('teach/exercises.html')
    await answerAll(page, 'teach/exercises')
    assert.deepEqual(errors, [])
    assert.equal(mistakes.join('\n'), '')
    await close()
  })
})
