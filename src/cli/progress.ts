// A progress bar on a terminal. If stderr goes to a file, there is no bar, only lines.

import cliProgress from 'cli-progress'
import { duration } from '../demo/words.ts'
import { inLines, onOneLine } from '../io/index.ts'
import { say } from './output.ts'
import { isReporting } from './ranks.ts'
import { RemainingTime } from './remaining.ts'

export interface Progress {
  /** @param text the text behind the bar; default the remaining time, once it is known */
  update(done: number, text?: string): void
  /** Prints a line above the bar. */
  line(text: string): void
  stop(): void
}

/** A bar on stderr that is removed when it stops. */
export function progressBar(title: string, total: number, start = 0): Progress {
  if (!process.stderr.isTTY || !isReporting()) return { update() {}, line: say, stop() {} }
  const bar = new cliProgress.SingleBar({
    format: `${title} {bar} {percentage} % {text}`,
    barCompleteChar: '━',
    barIncompleteChar: '┄',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
  })
  const remaining = new RemainingTime(total, start)
  bar.start(total, start, { text: '' })
  return {
    update: (done, text = timeLeft(remaining, done)) => bar.update(done, { text: onOneLine(text) }),
    line: text => void process.stderr.write(`\r\x1b[K${inLines(text)}\n`),
    stop: () => bar.stop(),
  }
}

/** 1 min 20 s left; empty while this is not known. */
export function timeLeft(remaining: RemainingTime, done: number): string {
  const seconds = remaining.after(done)
  return seconds === undefined ? '' : `${duration(seconds)} left`
}

/** A bar whose total takes time to count; it is counted only if the bar is visible. */
export const countedBar = async (title: string, count: () => Promise<number>): Promise<Progress> =>
  progressBar(title, process.stderr.isTTY ? await count() : 0)
