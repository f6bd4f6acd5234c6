// An LSTM (Hochreiter and Schmidhuber 1997) that counts: after every bit it says whether the ones so far are even or odd. It learns
// from sequences of 12 bits and stays right on much longer ones, because all that it has to keep in its state is one bit.

import { Adam, Linear, LSTM, type LSTMState, Module, randint, seed, type Tensor } from 'cocagrad'

class Parity extends Module {
  lstm = new LSTM(1, 16)
  output = new Linear(16, 2)

  /** bits int32 [batch, time] → logits of even and odd after every bit, [batch, time, 2], and the state after the last one */
  forward(bits: Tensor, before?: LSTMState) {
    const { output, state } = this.lstm.forward(bits.cast('float32').unsqueeze(-1), { state: before })
    return { logits: this.output.forward(output), state }
  }
}

const isOdd = (bits: Tensor) => bits.cumsum({ axis: 1 }).remainder(2)

seed(0)
const model = new Parity()
const optimizer = new Adam(model, { learningRate: 0.02 })
for (let step = 0; step <= 250; step++) {
  const bits = randint(0, 2, [64, 12])
  const loss = optimizer.minimize(() => model.forward(bits).logits.crossEntropy(isOdd(bits)))
  if (step % 50 === 0) console.log(`step ${step}: loss ${(await loss.item()).toFixed(4)}`)
}

/** Percentage of right answers; logits [batch, time, 2], and what is right [batch, time]. */
async function accuracy(logits: Tensor, right: Tensor): Promise<string> {
  const isRight = logits.argmax({ axis: 2 }).equal(right)
  return (100 * (await isRight.cast('float32').mean().item())).toFixed(1)
}

const long = randint(0, 2, [20, 600])
const whole = model.forward(long)
console.log(`right after ${await accuracy(whole.logits, isOdd(long))} % of 600 bits`)

// the state is all that the network knows of what came before: another call goes on from it
const [first, second] = [long.at(':', ':300'), long.at(':', '300:')]
const { state } = model.forward(first)
const answers = isOdd(long).at(':', '300:')
console.log(`the second half, with the state: ${await accuracy(model.forward(second, state).logits, answers)} %`)
console.log(`the second half, without it: ${await accuracy(model.forward(second).logits, answers)} %`)
