// GPU.js, as the one file that its authors make for browsers; Node runs the same. In the package this module holds the
// file itself (scripts/build-gpujs.ts), so that nothing is installed that GPU.js lists and this project does not use.

// @ts-expect-error the published types are those of another file, and do not fit
import library from 'gpu.js/dist/gpu-browser.js'

export const gpujs: unknown = library
