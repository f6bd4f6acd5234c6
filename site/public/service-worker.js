// Gives every response the headers that make the page cross-origin isolated, which threads with shared memory need, on hosts that
// cannot set headers; and keeps what was loaded, so that the site opens without a network. Files under assets/ have a hash in their
// name and never change; everything else is loaded anew if the network answers.

const CACHE = 'cocagrad-site'

self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()))

function isolated(response) {
  if (response.status === 0) return response
  const headers = new Headers(response.headers)
  headers.set('Cross-Origin-Opener-Policy', 'same-origin')
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp')
  headers.set('Cross-Origin-Resource-Policy', 'same-origin')
  const { status, statusText } = response
  return new Response(response.body, { status, statusText, headers })
}

async function answer(request) {
  const cache = await caches.open(CACHE)
  const isFixed = new URL(request.url).pathname.includes('/assets/')
  const kept = isFixed ? await cache.match(request) : undefined
  if (kept) return isolated(kept)
  try {
    const response = await fetch(request)
    // without space left the page works, but not without a network
    if (response.ok && response.status === 200) await cache.put(request, response.clone()).catch(() => {})
    return isolated(response)
  } catch (error) {
    const old = await cache.match(request, { ignoreSearch: true })
    if (old) return isolated(old)
    throw error
  }
}

self.addEventListener('fetch', event => {
  const { request } = event
  if (request.method === 'GET' && new URL(request.url).origin === self.location.origin)
    event.respondWith(answer(request))
})
