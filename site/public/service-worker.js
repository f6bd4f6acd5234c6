// Gives every response the headers that make the page cross-origin isolated, which threads with shared memory need, on hosts that
// cannot set headers; and keeps what was loaded, so that the site opens without a network. Files under assets/ have a hash in their
// name and never change; everything else is loaded anew if the network answers. Of a page that was opened once it keeps what its scripts
// load later too, such as its threads, unless the browser is to save data. When every tab runs the newest version of the site, what only
// earlier versions had is deleted: until then a tab of an earlier version may still load its files, which the host no longer has.

const CACHE = 'cocagrad-site'

/** Names of files with a hash, in a script that loads them. */
const NAMES = /["'`]((?:\.{0,2}\/|assets\/)[\w@./-]*[.-][\w-]{8}(?:\.lean)?\.(?:js|css|wasm|json))["'`]/g
/** The scripts of every page, which name those of all pages. */
const COMMON = /\/(?:app|theme|framework)\.[\w-]{8}\.js$/
/** Milliseconds for the page's own requests, before those for later. */
const PAUSE = 2000

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

async function fetched(request, cache) {
  const response = await fetch(request)
  // without space left the page works, but not without a network
  if (response.ok && response.status === 200) await cache.put(request, response.clone()).catch(() => {})
  return response
}

async function answer(event) {
  const { request } = event
  const { pathname } = new URL(request.url)
  const cache = await caches.open(CACHE)
  const isFixed = pathname.includes('/assets/')
  const kept = isFixed ? await cache.match(request) : undefined
  if (kept) return isolated(kept)
  try {
    const response = await fetched(request, cache)
    // a page that is only linked is loaded ahead, but not for a script
    if (isFixed && /script|worker/.test(request.destination)) event.waitUntil(keepLater([request.url]))
    return isolated(response)
  } catch (error) {
    const old = await cache.match(request, { ignoreSearch: true })
    if (old) return isolated(old)
    throw error
  }
}

/** The files that were looked at for later. */
const seen = new Set()
let keeping = Promise.resolve()

/** Keeps files, and what they load, one after the other. */
function keepLater(urls) {
  keeping = keeping.then(async () => {
    const wanted = new Set(urls.filter(url => !seen.has(url)))
    if (wanted.size === 0 || navigator.connection?.saveData) return
    await new Promise(resolve => setTimeout(resolve, PAUSE))
    const cache = await caches.open(CACHE)
    // a set is walked in the order in which it grows
    for (const url of wanted) for (const name of await namesIn(url, cache).catch(() => [])) wanted.add(name)
  })
  return keeping
}

const isPage = url => /\.html$|\/$/.test(new URL(url).pathname)

/** The addresses of files with a hash in the text of another file. */
const namedIn = (text, url) =>
  Array.from(
    text.matchAll(NAMES),
    ([, name]) => new URL(name, name.startsWith('assets/') ? self.registration.scope : url).href,
  )

/** Keeps a file. @returns the files that it names */
async function namesIn(url, cache) {
  if (seen.has(url)) return []
  const response = (await cache.match(url)) ?? (await fetched(url, cache))
  seen.add(url)
  if (!(url.endsWith('.js') || isPage(url)) || COMMON.test(url)) return []
  const names = namedIn(await response.text(), url)
  // a page has another script for those who come to it by a link
  return url.endsWith('.lean.js') ? [...names, url.replace('.lean.js', '.js')] : names
}

self.addEventListener('fetch', event => {
  const { request } = event
  if (request.method === 'GET' && new URL(request.url).origin === self.location.origin) event.respondWith(answer(event))
})

/** Where it is noted of which version alone files are kept. */
const TIDIED = new URL('tidied', self.registration.scope).href

/** Deletes the files that the newest version does not have, unless a tab may need them. @param version that of the page that asks */
async function tidy(version) {
  const cache = await caches.open(CACHE)
  if ((await (await cache.match(TIDIED))?.text()) === version) return
  const response = await fetch(new URL('files.json', self.registration.scope), { cache: 'no-store' })
  if (!response.ok) return
  const newest = await response.json()
  // each page holds a lock with its version
  const { held } = await self.navigator.locks.query()
  const versions = held.map(({ name }) => name).filter(name => name.startsWith(`${CACHE} `))
  const tabs = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  if (versions.some(name => name !== `${CACHE} ${newest.version}`) || versions.length < tabs.length) return
  const files = new Set(newest.files.map(name => new URL(name, self.registration.scope).href))
  const isOld = url => url.includes('/assets/') && !files.has(url)
  const kept = (await cache.keys()).map(({ url }) => url)
  const renewed = []
  for (const url of kept.filter(isPage)) {
    const text = await (await cache.match(url)).text()
    if (!namedIn(text, url).some(isOld)) continue
    // the page as it is now; it cannot be opened as it was, without what it loads
    const response = await fetched(url, cache).catch(() => undefined)
    if (response?.ok) renewed.push(url)
    else await cache.delete(url)
    seen.delete(url)
  }
  for (const url of kept.filter(isOld)) {
    await cache.delete(url)
    seen.delete(url)
  }
  await cache.put(TIDIED, new Response(newest.version))
  await keepLater(renewed)
}

self.addEventListener('message', event => {
  const { loaded, version } = event.data
  // what a page loaded before this worker controlled it; or its version
  event.waitUntil(loaded ? keepLater(loaded) : tidy(version))
})
