// Returning to the event loop. What is awaited without it resolves within one task: timers, messages, signals and painting wait.

/** Milliseconds of a task after which a read returns to the event loop: a frame of a page at 60 Hz has 16.7. */
const PATIENCE = 12

/** when the program was last seen to return to the event loop */
let returned = performance.now()

/**
 * Resolves in a new task of the event loop: timers, messages, clicks and painting come in between. A loop of long computations that
 * awaits nothing else calls it, so that a page stays responsive. Reads (`item`, `data`, `array`) do so by themselves when 12 ms have
 * passed since the last time, and `fit` after every step.
 *
 * @example
 * for (const picture of pictures) {
 *   draw(await captionOf(picture))
 *   await nextTask()
 * }
 */
export function nextTask(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (f: () => void) => void }
  return new Promise(resolve => {
    const go = () => {
      returned = performance.now()
      resolve()
    }
    if (setImmediate) return void setImmediate(go)
    // setTimeout would wait for four milliseconds
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      go()
    }
    port2.postMessage(null)
  })
}

/** A new task if the program did not return to the event loop for long, or undefined. */
export const turn = (): Promise<void> | undefined => (performance.now() - returned > PATIENCE ? nextTask() : undefined)
