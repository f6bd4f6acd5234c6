// What repeated work costs on WebGPU before the device does anything, counted on Dawn's null backend: these numbers must not grow.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sizes, trainingStep } from '../../../bench/model.ts'
import { Counter, useNullGpu } from '../../../bench/null-gpu.ts'
import { device, lossAndGradients, ones, scope } from '../../../src/index.ts'

useNullGpu()
const counter = new Counter()
await device.use('gpu')
const { step, model, images, ids } = trainingStep(sizes.tiny)

const gradients = () =>
  scope(() => lossAndGradients(model, () => model.loss(images, ids)).loss.total.item(), 'a loss and its gradients')

async function repeated(times: number, work: () => Promise<unknown>) {
  for (let i = 1; i < times; i++) await work()
  counter.take()
  await work()
  return counter.take()
}

test('a training step shares kernels, which are compiled in the first step', async () => {
  await step()
  const { pipelines, dispatches } = counter.take()
  assert.ok(dispatches > 100, `${dispatches} kernel calls: nothing ran`)
  assert.ok(pipelines <= 120, `${pipelines} kernels`)
  assert.equal(new Set(counter.shaders).size, pipelines, 'every text is compiled once')
  assert.equal((await repeated(1, step)).pipelines, 0)
})

test('a repeated training step makes no buffer and submits many kernel calls together', async () => {
  const { buffers, submits, dispatches, passes } = await repeated(4, step)
  assert.equal(buffers, 0)
  assert.ok(dispatches <= 300, `${dispatches} kernel calls`)
  assert.ok(submits * 32 < dispatches, `${submits} submits of ${dispatches} kernel calls`)
  assert.ok(passes <= submits)
})

test('repeated gradients use the same buffers in the same places', async () => {
  assert.equal((await repeated(4, gradients)).bindGroups, 0)
})

test('activations in 16 bits: half of the bytes of a tape, two kernels, the same buffers again, and back to what was before', async () => {
  const bytes = () => device.get().memory().bytes
  /** The bytes that the tape holds when the backward pass begins. */
  const held = () =>
    scope(() => {
      const before = bytes()
      let most = 0
      lossAndGradients(model, () => {
        const loss = model.loss(images, ids)
        most = bytes() - before
        return loss
      })
      return most
    })
  const [between, plain, { dispatches }] = [bytes(), held(), await repeated(4, step)]
  await device.use('gpu', { activations: 'float16' })
  assert.ok(held() < 0.52 * plain, `${held()} bytes instead of ${plain}`)
  assert.equal(counter.take().pipelines, 2)
  const packed = await repeated(4, step)
  assert.equal(packed.buffers, 0)
  assert.equal(packed.bindGroups, 0)
  assert.ok(packed.dispatches <= 420, `${packed.dispatches} kernel calls`)
  await device.use('gpu', { activations: 'float32' })
  assert.equal((await repeated(4, step)).dispatches, dispatches)
  assert.equal(held(), plain)
  assert.equal(bytes(), between)
})

test('another batch compiles a few products and sums that are divided in another way, and nothing else', async () => {
  const isDivided = (text: string) => text.includes('var<workgroup>') || text.includes('user_x*get_user_a1')
  const before = counter.shaders.length
  for (const batch of [31, 20, 7]) await trainingStep({ ...sizes.tiny, batch }).step()
  const compiled = counter.shaders.slice(before)
  assert.equal(
    compiled.find(text => !isDivided(text)),
    undefined,
  )
  assert.ok(compiled.length <= 10, `${compiled.length} kernels for three batches`)
  counter.take()
  for (const batch of [29, 12]) await trainingStep({ ...sizes.tiny, batch }).step()
  assert.equal(counter.take().pipelines, 0)
})

test('a caption of any length compiles no kernel after its third token', async () => {
  const image = ones([1, 3, 32, 32])
  const caption = (maximumLength: number) => model.generate(image, { start: 1, maximumLength })
  await caption(4)
  counter.take()
  const captions = await caption(12)
  assert.equal(captions[0].ids.length, 12)
  assert.equal(counter.take().pipelines, 0)
})

test('a value that is uploaded and read at once waits for nothing that it does not need', async () => {
  const sum = ones([64]).add(1)
  counter.take()
  await sum.data()
  assert.equal(counter.take().submits, 2, 'the kernel call and the copy for the host')
})

test('a sum of two tensors moves three, and the host reads one', async () => {
  const [x, y] = [ones([64]), ones([64])]
  counter.take()
  await x.add(y).data()
  const { kernelBytes, readBytes, writes, writtenBytes } = counter.take()
  assert.deepEqual({ kernelBytes, readBytes, writes }, { kernelBytes: 3 * 256, readBytes: 256, writes: 1 })
  // the numbers of the call have a place of their own
  assert.equal(writtenBytes, 256)
  await x.mul(x).data()
  assert.equal(counter.take().kernelBytes, 2 * 256, 'a tensor that is given twice is read once')
})
