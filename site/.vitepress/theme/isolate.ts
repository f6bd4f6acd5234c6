// Starts the service worker, and loads the page again when it first controls it: only then is the page isolated, with threads.

const RELOADED = 'cocagrad: reloaded for threads'

export function isolate(base: string): void {
  if (!('serviceWorker' in navigator)) return
  const { serviceWorker } = navigator
  const reload = () => {
    // once: a browser that does not isolate the page even then shows it with one thread
    if (globalThis.crossOriginIsolated || sessionStorage.getItem(RELOADED)) return
    sessionStorage.setItem(RELOADED, 'yes')
    location.reload()
  }
  serviceWorker.addEventListener('controllerchange', reload, { once: true })
  serviceWorker.register(`${base}service-worker.js`, { scope: base }).catch(() => {
    // without it everything works with one thread, and only with a network
  })
}
