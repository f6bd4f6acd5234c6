// The editor: CodeMirror with TypeScript's language service, and errors of a run at their line.

import {
  autocompletion,
  type Completion,
  type CompletionContext,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { javascript } from '@codemirror/lang-javascript'
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, linter, lintKeymap } from '@codemirror/lint'
import { EditorState, StateEffect, StateField } from '@codemirror/state'
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  hoverTooltip,
  keymap,
  lineNumbers,
  WidgetType,
} from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { ask, type Description, type Files, type Problem } from './language.ts'

export interface EditorOptions {
  readonly parent: HTMLElement
  readonly source: string
  /** path of the file for the language service */
  readonly path: string
  /** the texts of all files of the program, by their paths */
  files(): Files
  readonly label: string
  /** id of the element that says which keys there are */
  readonly describedBy: string
  /** whether the source is known to have no mistakes, so that TypeScript looks at it only when it is changed */
  readonly isChecked?: boolean
  onChange(source: string): void
  onRun(): void
  onProblems(problems: readonly Problem[]): void
  /** the next Tab leaves the editor */
  onEscape(): void
}

export interface Editor {
  readonly source: string
  replace(source: string): void
  focus(): void
  /** Moves the cursor to the start of a line, counted from 1, or to an offset. */
  goTo(place: { readonly line?: number; readonly offset?: number }): void
  /** Shows an error below its line, until the program is changed; without one, shows none. */
  mark(failure?: { readonly line: number; readonly message: string }): void
  lineAt(offset: number): number
  destroy(): void
}

// ── the error of a run ──

class Message extends WidgetType {
  readonly text: string

  constructor(text: string) {
    super()
    this.text = text
  }

  override eq(other: Message): boolean {
    return other.text === this.text
  }

  override toDOM(): HTMLElement {
    const element = document.createElement('div')
    element.className = 'repl-line-message'
    element.textContent = this.text
    return element
  }
}

const setMark = StateEffect.define<{ readonly line: number; readonly message: string } | undefined>()
const mark = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, { effects, docChanged, state }) {
    for (const effect of effects) {
      if (!effect.is(setMark)) continue
      if (!effect.value) return Decoration.none
      const line = state.doc.line(Math.min(Math.max(1, effect.value.line), state.doc.lines))
      return Decoration.set([
        Decoration.line({ class: 'repl-error-line' }).range(line.from),
        Decoration.widget({ widget: new Message(effect.value.message), block: true, side: 1 }).range(line.to),
      ])
    }
    return docChanged ? Decoration.none : marks
  },
  provide: field => EditorView.decorations.from(field),
})

// ── the language ──

function described({ signature, documentation }: Description): HTMLElement {
  const element = document.createElement('div')
  element.className = 'repl-description'
  const code = element.appendChild(document.createElement('code'))
  code.textContent = signature
  if (documentation) element.appendChild(document.createElement('p')).textContent = documentation
  return element
}

const kinds: Readonly<Record<string, string>> = {
  function: 'function',
  method: 'method',
  property: 'property',
  getter: 'property',
  class: 'class',
  interface: 'interface',
  type: 'type',
  const: 'constant',
  let: 'variable',
  var: 'variable',
  parameter: 'variable',
  alias: 'function',
  keyword: 'keyword',
  module: 'namespace',
}

function language({ path: file, files, source: given, isChecked, onProblems }: EditorOptions) {
  const filesWith = (source: string): Files => ({ ...files(), [file]: source })
  const complete = async (context: CompletionContext) => {
    const word = context.matchBefore(/[\w$]*/)
    const before = context.state.sliceDoc(Math.max(0, context.pos - 1), context.pos)
    if (!context.explicit && word?.from === word?.to && before !== '.') return null
    const source = context.state.doc.toString()
    const position = context.pos
    const found = await ask('complete', file, filesWith(source), { position })
    if (context.aborted || found.length === 0) return null
    const options = found.map(
      ({ name, kind, isLocal }): Completion => ({
        label: name,
        type: kinds[kind] ?? 'variable',
        boost: isLocal ? 1 : 0,
        info: async () => {
          const description = await ask('details', file, filesWith(source), { position, name })
          return description ? described(description) : null
        },
      }),
    )
    return { from: word?.from ?? context.pos, options, validFor: /^[\w$]*$/ }
  }
  const problems = async (view: EditorView): Promise<Diagnostic[]> => {
    const source = view.state.doc.toString()
    if (isChecked && source === given) {
      onProblems([])
      return []
    }
    const found = await ask('problems', file, filesWith(source))
    if (view.state.doc.toString() !== source) return []
    onProblems(found)
    return found.map(({ from, to, isError, message }) => ({
      from,
      to,
      severity: isError ? 'error' : 'warning',
      message,
    }))
  }
  const hover = hoverTooltip(async (view, position) => {
    const found = await ask('hover', file, filesWith(view.state.doc.toString()), { position })
    if (!found) return null
    return { pos: found.from, end: found.to, above: true, create: () => ({ dom: described(found) }) }
  })
  return [autocompletion({ override: [complete], icons: false }), linter(problems, { delay: 400 }), hover]
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.moduleKeyword, tags.controlKeyword], color: 'var(--repl-keyword)' },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: 'var(--repl-string)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--repl-number)' },
  { tag: [tags.comment], color: 'var(--repl-comment)', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: 'var(--repl-function)' },
  { tag: [tags.typeName, tags.className], color: 'var(--repl-type)' },
])

export function createEditor(options: EditorOptions): Editor {
  const { label, describedBy } = options
  const run = () => {
    options.onRun()
    return true
  }
  const state = EditorState.create({
    doc: options.source,
    extensions: [
      lineNumbers(),
      history(),
      drawSelection(),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      highlightActiveLine(),
      javascript({ typescript: true }),
      syntaxHighlighting(colours),
      language(options),
      mark,
      keymap.of([
        { key: 'Mod-Enter', run },
        { key: 'Ctrl-Enter', run },
        ...closeBracketsKeymap,
        ...completionKeymap,
        ...lintKeymap,
        ...historyKeymap,
        ...defaultKeymap,
        indentWithTab,
      ]),
      EditorView.domEventObservers({
        // CodeMirror itself leaves the next Tab to the page
        keydown: event => {
          if (event.key === 'Escape') options.onEscape()
        },
      }),
      EditorView.contentAttributes.of({ 'aria-label': label, 'aria-describedby': describedBy }),
      EditorView.updateListener.of(update => {
        if (update.docChanged) options.onChange(update.state.doc.toString())
      }),
      EditorState.tabSize.of(2),
    ],
  })
  const view = new EditorView({ state, parent: options.parent })
  const select = (offset: number) => {
    view.dispatch({ selection: { anchor: offset }, scrollIntoView: true })
    view.focus()
  }
  return {
    get source() {
      return view.state.doc.toString()
    },
    replace(source) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: source } })
    },
    focus: () => view.focus(),
    goTo({ line, offset }) {
      const { doc } = view.state
      select(offset ?? doc.line(Math.min(Math.max(1, line ?? 1), doc.lines)).from)
    },
    mark: failure => view.dispatch({ effects: setMark.of(failure) }),
    lineAt: offset => view.state.doc.lineAt(Math.min(offset, view.state.doc.length)).number,
    destroy: () => view.destroy(),
  }
}
