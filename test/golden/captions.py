# BLEU and CIDEr-D of random captions by the published COCO caption evaluation, for test/evaluate/caption-metrics.test.ts:
#
#     git clone https://github.com/salaniz/pycocoevalcap
#     python3 test/golden/captions.py . > test/golden/captions.json
#
# The argument is the folder that holds pycocoevalcap (needs numpy). Captions are of small words without punctuation, so that
# its tokenizer, a Java program that is not run here, would change nothing.

import json
import random
import subprocess
import sys

folder = sys.argv[1]
sys.path.insert(0, folder)
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider

COMMIT = subprocess.run(
    ["git", "-C", f"{folder}/pycocoevalcap", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
).stdout.strip()
WORDS = "a the red blue small large circle ring star above below left of and two".split()
draw = random.Random(20020706)


def sentence(least, most):
    return [draw.choice(WORDS) for _ in range(draw.randint(least, most))]


def changed(words):
    """The same sentence with some words missing, replaced, repeated or added."""
    result = []
    for word in words:
        kind = draw.random()
        if kind < 0.1:
            continue
        result.append(draw.choice(WORDS) if kind < 0.25 else word)
        if kind > 0.93:
            result.append(word)
    return result + sentence(0, 2) if draw.random() < 0.3 else result


def candidate(kind, references):
    one = draw.choice(references)
    return {
        "equal": lambda: one,
        "changed": lambda: changed(one),
        "shorter": lambda: one[: len(one) // 2],
        "longer": lambda: one + sentence(4, 12),
        "repeated": lambda: one[:1] * len(one),
        "random": lambda: sentence(1, 12),
        "one word": lambda: one[:1],
        "empty": lambda: [],
    }[kind]()


def corpus(name, size, most, kinds, shortest=3, sigma=6.0):
    sets = []
    for i in range(size):
        first = sentence(shortest, 11)
        others = [changed(first) if draw.random() < 0.7 else sentence(1, 11) for _ in range(draw.randint(0, most - 1))]
        references = [words or ["a"] for words in [first, *others]]
        sets.append((candidate(kinds[i % len(kinds)], references), references))
    candidates = [" ".join(words) for words, _ in sets]
    references = [[" ".join(words) for words in lists] for _, lists in sets]
    truth, given = dict(enumerate(references)), {i: [text] for i, text in enumerate(candidates)}
    bleu, bleu_each = Bleu(4).compute_score(truth, given, verbose=0)
    cider, cider_each = Cider(sigma=sigma).compute_score(truth, given)
    return {
        "name": name,
        "candidates": candidates,
        "references": references,
        "bleu": bleu,
        "bleuEach": bleu_each,
        "sigma": sigma,
        "cider": float(cider),
        "ciderEach": [float(x) for x in cider_each],
    }


every = ["changed", "equal", "shorter", "longer", "random", "changed", "repeated", "empty", "changed", "one word"]
print(
    json.dumps(
        {
            "source": f"test/golden/captions.py with github.com/salaniz/pycocoevalcap, commit {COMMIT}",
            "corpora": [
                corpus("40 captions of all kinds", 40, 5, every),
                corpus("captions that are too short", 12, 3, ["shorter", "changed", "one word"]),
                corpus("captions that are too long", 12, 3, ["longer", "changed"], sigma=2.0),
                corpus("one reference each", 10, 1, ["changed", "equal"]),
                corpus("few words in common", 6, 2, ["repeated", "random"], shortest=5),
                corpus("one image", 1, 4, ["changed"]),
                corpus("nothing but empty captions", 3, 2, ["empty"]),
            ],
        },
        indent=1,
    )
)
