// GPU.js, as the single file that its authors build for browsers; Node runs the same file. In the package this module
// contains that file (scripts/build-gpujs.ts), so that the dependencies of GPU.js that are not used here are not
// installed.

// @ts-expect-error the published types are those of another file, and do not fit
import library from 'gpu.js/dist/gpu-browser.js'

export const gpujs: unknown = library
