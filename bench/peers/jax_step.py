"""Times the training step of bench/model.ts in JAX: forward, backward and update in one jit, in its fastest form. Tokens are flat,
[batch * tokens, width], so that every linear layer is one product; queries, keys and values come from one matrix."""

import jax
import jax.numpy as jnp
import steps

flags = steps.flags(__doc__).parse_args()
weights = steps.start(flags)
config = weights.config
image, text, pooler = config["image"], config["text"], config["pooler"]


def load():
    """The parameters by their names in our state dict, with those of joined layers below each other: of queries, keys and values in
    self-attention, of keys and values in cross-attention."""
    parameters = {}
    for name in weights.parameters():
        path, _, kind = name.rpartition(".")
        attention, _, part = path.rpartition(".")
        is_self = attention.endswith(".attention") and not attention.startswith("generativePooler")
        parts = ("query", "key", "value") if is_self else ("key", "value")
        if attention and part in parts:
            if part == parts[0]:
                parameters[f"{attention}.joined.{kind}"] = weights.joined([f"{attention}.{p}.{kind}" for p in parts])
        else:
            parameters[name] = weights[name]
    return {name: jnp.asarray(value) for name, value in parameters.items()}


def linear(p, path, x):
    return x @ p[f"{path}.weight"].T + p[f"{path}.bias"]


def layer_norm(p, path, x):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * p[f"{path}.weight"] + p[f"{path}.bias"]


def attend(queries, keys, values, causal):
    """[batch, tokens, heads, size] each -> [batch * queries, heads * size]"""
    batch, tokens, heads, size = queries.shape
    scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys) * size**-0.5
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones((tokens, tokens), bool)), scores, -jnp.inf)
    seen = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, -1), values)
    return seen.reshape(batch * tokens, heads * size)


def self_attention(p, path, x, batch, heads, causal):
    joined = linear(p, f"{path}.joined", x).reshape(batch, -1, 3, heads, x.shape[1] // heads)
    return linear(p, f"{path}.output", attend(*(joined[:, :, i] for i in range(3)), causal))


def cross_attention(p, path, x, memory, batch, heads):
    size = x.shape[1] // heads
    queries = linear(p, f"{path}.query", x).reshape(batch, -1, heads, size)
    joined = linear(p, f"{path}.joined", memory).reshape(batch, -1, 2, heads, size)
    return linear(p, f"{path}.output", attend(queries, joined[:, :, 0], joined[:, :, 1], False))


def block(p, path, x, batch, heads, causal, memory=None):
    x = x + self_attention(p, f"{path}.attention", layer_norm(p, f"{path}.attentionNorm", x), batch, heads, causal)
    if memory is not None:
        normed = layer_norm(p, f"{path}.crossNorm", x)
        x = x + cross_attention(p, f"{path}.crossAttention", normed, memory, batch, heads)
    up = jax.nn.gelu(linear(p, f"{path}.mlp.up", layer_norm(p, f"{path}.mlpNorm", x)), approximate=False)
    return x + linear(p, f"{path}.mlp.down", up)


def encoder(p, images):
    batch, channels, size, _ = images.shape
    side = image["patch"]
    across = size // side
    grid = images.reshape(batch, channels, across, side, across, side).transpose(0, 2, 4, 1, 3, 5)
    x = linear(p, "encoder.patches.projection", grid.reshape(batch * across * across, -1))
    x = (x.reshape(batch, across * across, -1) + p["encoder.positions"]).reshape(x.shape)
    for i in range(image["layers"]):
        x = block(p, f"encoder.blocks.{i}", x, batch, image["heads"], False)
    return x


def pooled_tokens(p, tokens, batch):
    queries = jnp.tile(p["generativePooler.queries"], (batch, 1))
    memory = layer_norm(p, "generativePooler.memoryNorm", tokens)
    seen = cross_attention(p, "generativePooler.attention", queries, memory, batch, pooler["heads"])
    return layer_norm(p, "generativePooler.norm", seen)


def unimodal(p, ids):
    batch, length = ids.shape
    class_token = jnp.broadcast_to(p["unimodal.classToken"], (batch, 1, text["width"]))
    embedded = p["unimodal.embedding.weight"][ids]
    x = jnp.concatenate([embedded, class_token], 1) + p["unimodal.positions"]
    x = x.reshape(-1, text["width"])
    for i in range(text["unimodalLayers"]):
        x = block(p, f"unimodal.blocks.{i}", x, batch, text["heads"], True)
    x = x.reshape(batch, length + 1, -1)
    return x[:, :length].reshape(batch * length, -1), layer_norm(p, "unimodal.norm", x[:, length])


def multimodal(p, x, memory, batch):
    for i in range(text["multimodalLayers"]):
        x = block(p, f"multimodal.blocks.{i}", x, batch, text["heads"], True, memory)
    return linear(p, "multimodal.output", layer_norm(p, "multimodal.norm", x))


def cross_entropy(logits, targets):
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits, -1), targets[:, None], -1)
    return -chosen.mean()


def normalize(x):
    return x / jnp.maximum(jnp.sqrt((x * x).sum(-1, keepdims=True)), 1e-12)


def loss_of(p, images, ids):
    batch, length = ids.shape
    pooled = pooled_tokens(p, encoder(p, images), batch).reshape(batch, -1, text["width"])
    image_embedding = normalize(pooled[:, 0] @ p["imageProjection.weight"].T)
    tokens, summary = unimodal(p, ids)
    text_embedding = normalize(summary @ p["textProjection.weight"].T)
    similarity = image_embedding @ text_embedding.T * jnp.exp(p["logScale"])
    pairs = jnp.arange(batch)
    contrastive = (cross_entropy(similarity, pairs) + cross_entropy(similarity.T, pairs)) / 2
    logits = multimodal(p, tokens, pooled[:, 1:].reshape(-1, text["width"]), batch).reshape(batch, length, -1)
    shown = logits[:, :-1].reshape(batch * (length - 1), -1)
    return contrastive + 2 * cross_entropy(shown, ids[:, 1:].flatten())


BETA1, BETA2, EPSILON, RATE, DECAY = 0.9, 0.999, 1e-8, 1e-4, 0.01


def step(parameters, moments, squares, count, images, ids):
    loss, gradients = jax.value_and_grad(loss_of)(parameters, images, ids)
    count = count + 1
    moments = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, moments, gradients)
    squares = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, squares, gradients)
    rate = RATE / (1 - BETA1**count)
    scale = jax.lax.rsqrt(1 - BETA2**count)

    def updated(x, m, v):
        return x * (1 - RATE * DECAY) - rate * m / (jnp.sqrt(v) * scale + EPSILON)

    return loss, jax.tree.map(updated, parameters, moments, squares), moments, squares, count


parameters = load()
zeros = jax.tree.map(jnp.zeros_like, parameters)
state = [parameters, zeros, jax.tree.map(jnp.zeros_like, parameters), jnp.float32(0)]
images, ids = jnp.asarray(weights["batch.images"]), jnp.asarray(weights["batch.ids"])
compiled = jax.jit(step, donate_argnums=(0, 1, 2, 3))


def next_loss():
    loss, *state[:] = compiled(*state, images, ids)
    return loss.item()


count = sum(value.size for value in parameters.values())
steps.time_steps(flags, next_loss, "jax", jax.__version__, count)
