// The training step of bench/model.ts in jax-js, all of it one compiled program.

import { type Batch, cocaLoss, plainBatch } from './coca.ts'
import { adamw, type Named, type Scalars, type State } from './jax-adamw.ts'
import { jaxOperations, type Values } from './jax-operations.ts'
import type { Jax } from './jax-start.ts'
import type { PeerTraining } from './timing.ts'
import type { Start } from './weights.ts'

/** @param start weights and batch */
export async function jaxTraining(jax: Jax, start: Start): Promise<PeerTraining> {
  const { numpy: np } = jax
  const operations = jaxOperations(jax)
  const { begin, update, scalars } = adamw(jax)

  const { config, batch: size } = start
  const weights: Named = {}
  for (const name of start.names) {
    const { data, shape } = await start.parameter(name)
    weights[name] = np.array(data, { shape: [...shape] })
  }
  const plain = plainBatch(start.images.data, start.ids.data, config, size)
  const inputs = {
    patches: np.array(plain.patches.data, { shape: plain.patches.shape }),
    ids: np.array(plain.ids, { dtype: np.int32 }),
    next: np.array(plain.next, { dtype: np.int32 }),
    pairs: np.array(plain.pairs, { dtype: np.int32 }),
  }

  const program = jax.jit((before: State, given: Omit<Batch<Values>, 'size'>, numbers: Scalars): [Values, State] => {
    const loss = (values: Named) => cocaLoss(operations, name => values[name], config, { size, ...given })
    const [value, gradients] = jax.valueAndGrad(loss)(jax.tree.ref(before.values))
    return [value, update(before, gradients, numbers)]
  })

  let state = begin(weights)
  let t = 0
  async function step(): Promise<number> {
    t++
    const [loss, after] = program(state, jax.tree.ref(inputs), scalars(t))
    state = after
    // reading an array runs the whole program: after the first one, the others are ready
    const [value] = await loss.data()
    await jax.blockUntilReady(state)
    return value
  }

  return { step, parameters: start.parameters }
}
