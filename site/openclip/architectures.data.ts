// OpenCLIP's names of architectures, for weights without a configuration.

import { openClipArchitectureNames } from '../../src/openclip/architectures.ts'

declare const data: readonly string[]

export { data }

export default { load: (): readonly string[] => openClipArchitectureNames }
