"""Writes siglip.json.gz: small tokenizers in the form of SigLIP's (T5) and SigLIP2's (Gemma), and the rows of OpenCLIP 3.3.

    pip install open_clip_torch==3.3.0 transformers==5.18.0 tokenizers==0.23.2
    python siglip.py                  # 100 texts, which open-clip.test.ts reads
    python siglip.py 600 7 FILE       # more texts, another seed

The rows are those of open_clip.get_tokenizer('local-dir:…'). They must equal the ids of `tokenizers` for the text that OpenCLIP's
functions clean, because transformers 5 builds a T5 tokenizer anew from its vocabulary. T5's normalizer is that of t5.json.gz.
"""

import gzip
import json
import pathlib
import random
import sys
import tempfile

from open_clip import get_tokenizer
from open_clip.tokenizer import get_clean_fn
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
OUT = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else HERE / "siglip.json.gz"
CONTEXT = 16

FIXED = [
    "", " ", "a photo of a cat", "A Photo of a CAT!", "a_photo_of__a_cat", "it's a dog's life; isn't it?", "caf\u00e9 cafe\u0301", "&amp;amp; &lt;b&gt;bold&lt;/b&gt; &eacute;",
    "doesn\u2019t \u201cquote\u201d", "</s> <pad> <unk> s pad", "<eos> a <bos> b <mask>", "____", "!!!", "...a...b", "\u00c3\u00a9t\u00c3\u00a9", "two  spaces \t tab\nline",
    "a long text with many words that does not fit in the context of sixteen tokens and so it is cut off before its end",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\ud55c\uad6d\uc5b4", "\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7", "\ufb01ne \uff21\uff22\uff23 \u00bd", "\u03a3\u0391\u03a3 \u0130stanbul Stra\u00dfe",
    "\u2581low \u2581", "100% of $5.00 = #1 @home", "nul\u0000 bell\u0007", "\u00a0no\u2003break\u3000wide", "a\u0085b\u2028c", "\u00ab\u00bb\u2014\u2026\u00bf\u00a1", "<0x41>", "x" * 40,
]
WORDS = "a an the photo picture painting of in on with red green blue small large cat dog bird tree house street people walking sitting standing near water mountain snow plate food table".split()
POOLS = ["abcdefghij klmnop", "ABC xyz", "0123456789 ", "\u00e9\u00e0\u00fc\u00f1\u00e7\u00df ", "\u4e2d\u6587\u5b57 \u3002\uff0c", "\U0001f44d\u2603\ufe0f\u2764 ", ".,!?'\"-_()[]{}<>/\\@#$%^&*+=|~` ", "\u00ab\u00bb\u201c\u201d\u2018\u2019\u2026\u2013\u2014\u20ac", "\u00bd\u00b2\u2167\u2460 ", "&amp; &lt; ", "\u00a0\t\n\u2003\u3000 x", "\u2581_ a"]


def texts():
    r = random.Random(SEED)
    out = FIXED[:COUNT]
    while len(out) < COUNT:
        if r.random() < 0.4:
            words = [r.choice([str, str.upper, str.title])(r.choice(WORDS)) for _ in range(r.choice([1, 3, 6, 12, 24]))]
            out.append(r.choice([" ", " ", "_", ", ", "-"]).join(words) + r.choice(["", ".", "!", "?"]))
        else:
            pool = "".join(r.sample(POOLS, r.choice([1, 2, 3])))
            out.append("".join(r.choice(pool) for _ in range(r.choice([1, 2, 5, 13, 30]))))
    return out


def t5():
    """The form of timm/ViT-B-16-SigLIP: Unigram behind SentencePiece's normalizer, `</s>` as the end and as padding."""
    with gzip.open(HERE / "t5.json.gz") as file:
        normalizer = json.load(file)["normalizer"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    corpus = [" ".join(WORDS), "caf\u00e9 \u4f60\u597d it s isn t", *(f"{a} {b}" for a in WORDS for b in WORDS)]
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", initial_alphabet=list("abcdefghijklmnopqrstuvwxyz"), show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    tokenizer.decoder = decoders.Metaspace()
    file = json.loads(tokenizer.to_str()) | {"normalizer": normalizer}
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 64}
    return file, config


def gemma():
    """The form of timm/ViT-B-16-SigLIP2: byte pairs with a token for each byte, `<eos>` as the end, `<pad>` as padding."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False)
    tokenizer.train_from_iterator([" ".join([a, b]) for a in WORDS for b in WORDS], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", pair="$A <eos> $B <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    file = json.loads(tokenizer.to_str())
    # only the named ones are special, as in Gemma's file
    file["added_tokens"] = [token for token in file["added_tokens"] if token["content"] in special]
    config = {"tokenizer_class": "GemmaTokenizer", "pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>", "add_bos_token": False, "add_eos_token": True, "padding_side": "right", "model_max_length": 64}
    return file, config


def rows_of(name, clean, file, config):
    text = {"context_length": CONTEXT, "hf_tokenizer_name": name, "tokenizer_kwargs": {"clean": clean}}
    with tempfile.TemporaryDirectory() as folder:
        for path, value in (("tokenizer.json", file), ("tokenizer_config.json", config), ("open_clip_config.json", {"model_cfg": {"text_cfg": text}})):
            (pathlib.Path(folder) / path).write_text(json.dumps(value, ensure_ascii=False))
        rows = get_tokenizer(f"local-dir:{folder}")(TEXTS).tolist()
    plain = Tokenizer.from_str(json.dumps(file))
    plain.enable_truncation(CONTEXT)
    plain.enable_padding(length=CONTEXT, pad_id=plain.token_to_id(config["pad_token"]))
    for text, row in zip(TEXTS, rows):
        ids = plain.encode(get_clean_fn(clean)(text)).ids
        assert ids == row, (name, clean, text, ids, row)
    print(f"{name}, {clean}: {len(rows)} rows")
    return {"clean": clean, "rows": rows}


TEXTS = texts()
tokenizers = []
for name, (file, config), cleanings in (("t5", t5(), ("canonicalize", "lower", "whitespace")), ("gemma", gemma(), ("canonicalize", "whitespace"))):
    cases = [rows_of(name, clean, file, config) for clean in cleanings]
    # the table of T5's normalizer is large
    own = file | {"normalizer": "t5"} if name == "t5" else file
    tokenizers.append({"name": name, "file": own, "config": config, "cases": cases})
data = json.dumps({"texts": TEXTS, "context": CONTEXT, "tokenizers": tokenizers}, ensure_ascii=False).encode()
OUT.write_bytes(gzip.compress(data, mtime=0))
