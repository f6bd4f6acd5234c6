// What is held to formulas is computed in float64, which only the reference has: importing this makes it the device.

import { device } from '../src/tensor/index.ts'

await device.use('reference')
