// The script at the head of every page. It stands there so that the page is seldom shown before it is loaded again.

/**
 * Starts the service worker, and loads the page again when it first controls it: only then is the page isolated, with threads. A page that was
 * touched before is left as it is, with one thread. While a page is open it holds a lock with its version, by which the service worker knows which
 * files may still be loaded. The text of this function is put in the pages: it uses nothing from outside.
 */
export function isolate(base: string, version: string): void {
  if (!('serviceWorker' in navigator)) return
  const { serviceWorker } = navigator
  let isTouched = false
  for (const touch of ['pointerdown', 'keydown', 'drop'])
    addEventListener(
      touch,
      () => {
        isTouched = true
      },
      { capture: true, once: true },
    )

  function control(): void {
    const reloaded = 'cocagrad: reloaded for threads'
    // once: a browser that does not isolate the page even then shows it with one thread
    if (globalThis.crossOriginIsolated || isTouched || sessionStorage.getItem(reloaded)) {
      const links = [...document.querySelectorAll<HTMLLinkElement>('link[rel~=stylesheet], link[rel=modulepreload]')]
      const scripts = [...document.querySelectorAll<HTMLScriptElement>('script[src]')]
      serviceWorker.controller?.postMessage({
        loaded: [location.href, ...links.map(({ href }) => href), ...scripts.map(({ src }) => src)],
      })
      return
    }
    sessionStorage.setItem(reloaded, 'yes')
    // until the page comes again, which a click would not outlast
    document.documentElement.inert = true
    location.reload()
  }
  const opened = navigator.locks?.request(`cocagrad-site ${version}`, { mode: 'shared' }, () => {
    serviceWorker.controller?.postMessage({ version })
    return new Promise(() => {})
  })
  opened?.catch(() => {
    // an origin without storage, which keeps no files either
  })
  serviceWorker.addEventListener('controllerchange', control, { once: true })
  serviceWorker.register(`${base}service-worker.js`, { scope: base }).catch(() => {
    // without it everything works with one thread, and only with a network
  })
}
