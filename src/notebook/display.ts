// Shows objects while a program runs, and replaces what was shown. Where they are shown depends on the program's surroundings: the output
// of a cell in Deno's Jupyter kernel, a part of a page that called `displayWith`, or else the console, as text.

import { checkArguments } from '../tensor/arguments.ts'
import { jupyterDisplay, type MimeBundle } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'

/** An object with a display: tensors, modules, tapes, and what the functions of this module return. */
export interface Displayable {
  /** The contents, by MIME type. */
  [jupyterDisplay](): MimeBundle | Promise<MimeBundle>
}

/** Where contents are shown. */
export interface DisplayHost {
  /** whether contents can be replaced; where they cannot, only few updates are shown */
  readonly canReplace: boolean
  /** Shows contents; where `isUpdate`, in the place of those that were shown with the same id. */
  show(id: string, content: MimeBundle, isUpdate: boolean): void | Promise<void>
}

/** The part of Deno's Jupyter kernel that is used here. */
interface Kernel {
  broadcast(type: string, content: object): Promise<void>
}

function findKernel(): Kernel | undefined {
  try {
    return (globalThis as { readonly Deno?: { readonly jupyter?: Kernel } }).Deno?.jupyter
  } catch {
    // outside of its kernel, Deno throws
    return undefined
  }
}

const inKernel = (kernel: Kernel): DisplayHost => ({
  canReplace: true,
  show: (id, data, isUpdate) =>
    kernel.broadcast(isUpdate ? 'update_display_data' : 'display_data', {
      data,
      metadata: {},
      transient: { display_id: id },
    }),
})

const inConsole: DisplayHost = { canReplace: false, show: (_, content) => console.log(content['text/plain']) }

let host: DisplayHost | undefined
let count = 0
/** when everything up to now was shown; what is displayed appears in the order of the calls */
let last: Promise<void> = Promise.resolve()

/** The host of this program. */
export function currentHost(): DisplayHost {
  if (host) return host
  const kernel = findKernel()
  host = kernel ? inKernel(kernel) : inConsole
  return host
}

/**
 * Shows everything in another place from now on, for pages that run programs. The contents come from the program: a page that
 * runs the programs of others must clean `text/html` and `image/svg+xml` before it inserts them.
 */
export function displayWith(other: DisplayHost): void {
  checkArguments('displayWith(host)', [is.anything], [other])
  host = other
}

const isDisplayable = (value: unknown): value is Displayable =>
  typeof value === 'object' && value !== null && jupyterDisplay in value

/** Something that is shown and can be replaced. `display` makes it. */
export class Display {
  readonly #id = `cocagrad-${Date.now().toString(36)}-${++count}`
  #isShown = false

  /**
   * Shows a value in the place of the one before.
   * @param value an object with a display, or a text
   * @returns when it was shown
   * @throws TypeError for any other value
   */
  update(value: Displayable | string): Promise<void> {
    if (typeof value !== 'string' && !isDisplayable(value))
      throw new TypeError(
        `display: ${String(value)} has no display; give a tensor, a module, a tape, a plot, a picture, or a string`,
      )
    // read now: a tensor may be freed before its turn comes
    const content = Promise.resolve(typeof value === 'string' ? { 'text/plain': value } : value[jupyterDisplay]())
    content.catch(() => {}) // thrown when its turn comes
    const shown = last.then(async () => {
      const isUpdate = this.#isShown
      this.#isShown = true
      await currentHost().show(this.#id, await content, isUpdate)
    })
    last = shown.catch(() => {})
    return shown
  }
}

/**
 * Shows a value at once. The value of the last line of a cell is shown without it.
 *
 *     const chart = display(plot([]))
 *     for (let step = 0; step < 100; step++) {
 *       losses.push(await train())
 *       if (step % 10 === 0) await chart.update(plot(losses))
 *     }
 *
 * Outside of a notebook and of a page that shows values, the text of the value is printed.
 * @param value an object with a display, such as a tensor or a plot, or a text
 * @returns what replaces it, by `update`
 * @throws TypeError for any other value
 */
export function display(value: Displayable | string): Display {
  const made = new Display()
  void made.update(value)
  return made
}
