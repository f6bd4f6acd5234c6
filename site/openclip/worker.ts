// The thread that has the checkpoint, so that the page stays responsive. Requests are answered one after the other.

import type { Report, Request, Task } from './protocol.ts'
import type { Session } from './session.ts'

const post = (report: Report) => globalThis.postMessage(report)

/** Milliseconds between two reports of progress. */
const REPORTS = 50

let session: Session | undefined
let last: Promise<void> = Promise.resolve()

function opened(): Session {
  if (!session) throw new Error('No checkpoint is open.')
  return session
}

async function answer(request: Request): Promise<void> {
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  switch (request.kind) {
    case 'open': {
      const { Session } = await import('./session.ts')
      session = await Session.open(request.files)
      post({ kind: 'opened', summary: session.summary })
      return
    }
    case 'read': {
      let reported = 0
      const device = await opened().read((done, count) => {
        if (performance.now() - reported < REPORTS && done < count) return
        reported = performance.now()
        post({ kind: 'progress', done, count })
      })
      post({ kind: 'ready', device, seconds: seconds() })
      return
    }
    case 'picture': {
      const { id, bitmap } = request
      await opened().addPicture(id, bitmap)
      bitmap.close()
      post({ kind: 'embedded', id })
      return
    }
    case 'remove':
      opened().removePicture(request.id)
      return
    case 'caption': {
      const { id, ...options } = request
      const found = await opened().caption(id, options, token => post({ kind: 'token', id, token }))
      post({ kind: 'caption', id, ...found, seconds: seconds() })
      return
    }
    case 'names': {
      const { id, labels, template } = request
      post({ kind: 'names', id, names: await opened().names(id, labels, template) })
      return
    }
    case 'find':
      post({ kind: 'found', text: request.text, cosines: await opened().find(request.text) })
  }
}

globalThis.onmessage = ({ data }: MessageEvent<Request>) => {
  last = last
    .then(() => answer(data))
    .catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error)
      post({ kind: 'mistake', task: data.kind === 'remove' ? 'picture' : (data.kind satisfies Task), message })
    })
}
