// The thread that runs the visitor's function; the page ends it when it takes too long.

import type { Report, Request } from './protocol.ts'

const post = (report: Report) => globalThis.postMessage(report)

async function answer({ code, order, bug }: Request): Promise<void> {
  const [{ device, gradcheck, show }, { plant }, { open, located }, { trace }] = await Promise.all([
    import('cocagrad'),
    import('./bugs.ts'),
    import('./program.ts'),
    import('./trace.ts'),
  ])
  await device.use('reference')
  plant(undefined)
  const program = await open(code)
  const planted = plant(bug)
  post({ kind: 'traced', trace: await trace(program, order, bug) })
  let result: ReturnType<typeof gradcheck>
  try {
    result = gradcheck((...xs) => program.f(...xs), program.inputs, { order })
  } catch (error) {
    throw located(error)
  }
  const { ok, verdict, message, checked, mismatches } = result
  post({
    kind: 'checked',
    check: {
      ok,
      verdict,
      message,
      checked,
      mismatches: mismatches.slice(0, 8).map(({ input, element, order, analytic, numeric }) => ({
        input: program.names[input],
        element: element && element.length > 0 ? show(element) : '',
        order,
        analytic,
        numeric,
      })),
      bugActs: planted.acts,
    },
  })
}

globalThis.onmessage = ({ data }: MessageEvent<Request>) => {
  answer(data).catch((error: unknown) => {
    const { message, line } = error as Error & { line?: number }
    post({ kind: 'failed', message: message ?? String(error), line })
  })
}
