"""Times the training step of bench/model.ts in PyTorch. The caller sets OMP_NUM_THREADS too, because a thread pool cannot
shrink once a library is loaded."""

import steps
import torch
from torch_model import CoCa, adamw, load

parser = steps.flags(__doc__)
parser.add_argument("--compile", action="store_true", help="forward and backward by torch.compile")
flags = parser.parse_args()

torch.set_num_threads(flags.threads)
weights = steps.start(flags)
model = CoCa(weights.config)
load(model, weights)
images, ids = torch.from_numpy(weights["batch.images"]), torch.from_numpy(weights["batch.ids"]).long()
optimizer = adamw(model.parameters())
loss_of = torch.compile(model.loss) if flags.compile else model.loss


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(images, ids)
    loss.backward()
    optimizer.step()
    return loss.item()


parameters = sum(parameter.numel() for parameter in model.parameters())
steps.time_steps(flags, step, "torch", torch.__version__, parameters)
