"""Ids of small tokenizers, one for each component of a tokenizer.json and its options, by Hugging Face's `tokenizers`.

    pip install tokenizers==0.23.2
    python3 components.py                  # writes components.json.gz, which components.test.ts reads
    python3 components.py 400 1 FILE       # more texts, another seed

A case is a tokenizer.json, the ids of every text without special tokens (null where Python refuses the text), what
Python decodes from them, and the row with the tokens that the post-processor adds. To show every piece, the normalizers
and pre-tokenizers have a WordLevel model whose vocabulary is all pieces of the texts.
"""

import base64
import gzip
import json
import pathlib
import random
import struct
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 40
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
OUT = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else HERE / "components.json.gz"

FIXED = [
    "", " ", "a", "a cat", "  two  spaces ", "A photo of a café", "cafe\u0301 e\u0301\u0302", "don't we'll I'm He'S", "x1 22 333 4,444.5",
    "你好，世界 中a文", "한국어 テスト ひらがな", "👩‍👩‍👧‍👦 🇫🇷👍🏽 ☃️", "tab\tnew\nline\r\nend\n", "\u00a0no\u2003break\u3000wide\u200bzero\ufeff",
    "nul\u0000bell\u0007del\u007fesc\u001b\u0085next", "½ ² Ⅷ ٣٤ ४ ①", "!!! ?? «quote» “x” — … _under_ $5+5=10 ^~`|", "ﬁ ﬂ ﬀ Ångström ½ ＡＢＣ",
    "ΣΑΣ ΟΔΟΣ İstanbul Straße ŁÓDŹ", "नमस्ते हिन्दी", "สวัสดี", "שָׁלוֹם مَرْحَبًا", "a<s>b </s> <pad>c[MASK] [MASK]d x[MASK]y [CLS]", "▁low ▁ bar▁", "<0x41> <0xE2>",
    "aaaaaaaaaa aaaab", "lower newest widest low", "##a ##b", "hello</w> world</w>", "S\u0323\u0307 \u1e9b\u0323", "🤖\U0001d54f\U00020000", "it's ok. do not! isn't ?", "token tokens TOKEN tok",
    "\n\n  x\n \n", "a\u0301\u0302 \u0301", "xx--yy", "e.g. U.S.A.", "\u2028\u2029", "  a", "b  ", "a-b_c",
]
POOLS = [
    "abcdefghij klmnop", "ABC xyz", "0123456789 ", "éàüñçßøåœ ", "中文字漢語日本 。，", "あいうアイウ한국", "👍🏽👩\u200d👧🇫🇷☃\ufe0f❤", "\u0301\u0302\u0323\u0338aeo", "\t\n\r\u000b\u000c\u00a0\u2003\u3000\u0085\u2028 x",
    "\u0000\u0001\u0008\u007f\u009f\u200d\u200e\ufeff\u00adx ", ".,!?'\"-_()[]{}<>/\\@#$%^&*+=|~` ", "«»“”‘’…—–¿¡§¶•€£ ", "½²³¹Ⅷ٣४①ⅳ", "ДжЖяΣσςΩαİıſK", "हिन्दी नम", "▁ ▁a<s>[MASK]", "ﬁﬂＡｂ①㍿ﷺ", "\U0001d54f\U00020000\U0001f600 ",
]


def texts():
    r = random.Random(SEED)
    out = list(FIXED) if COUNT >= len(FIXED) else FIXED[:COUNT]
    while len(out) < COUNT:
        pools = r.sample(POOLS, r.choice([1, 1, 2, 3]))
        pool = "".join(pools)
        out.append("".join(r.choice(pool) for _ in range(r.choice([1, 2, 3, 5, 8, 13, 21, 40]))))
    return out


TEXTS = texts()
CASES = []


def ids_of(tokenizer, text, special=False):
    try:
        return tokenizer.encode(text, add_special_tokens=special).ids
    except Exception:
        return None


def decoded(tokenizer, ids):
    """None where Python panics: Strip does if it would take more than the token has."""
    try:
        return tokenizer.decode(ids, skip_special_tokens=False)
    except BaseException:
        return None


def add(name, tokenizer, edit=None):
    file = json.loads(tokenizer.to_str())
    if edit:
        edit(file)
        tokenizer = Tokenizer.from_str(json.dumps(file))
    ids = [ids_of(tokenizer, text) for text in TEXTS]
    case = {"name": name, "file": file, "ids": ids}
    if tokenizer.decoder is not None:
        case["decoded"] = [None if row is None else decoded(tokenizer, row) for row in ids]
    if tokenizer.post_processor is not None:
        case["rows"] = [ids_of(tokenizer, text, True) for text in TEXTS]
    CASES.append(case)


def words(normalizer=None, pre=None):
    """A WordLevel model of every piece that the texts have."""
    vocab = {"[UNK]": 0}
    for text in TEXTS:
        if normalizer is not None:
            text = normalizer.normalize_str(text)
        for piece in [p for p, _ in pre.pre_tokenize_str(text)] if pre is not None else [text]:
            vocab.setdefault(piece, len(vocab))
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    return tokenizer


def charsmap(replacements):
    """A table of SentencePiece: a trie of replacements as a double array, as Darts makes them."""
    entries = {}
    blob = b""
    for source, target in replacements.items():
        entries[source.encode()] = len(blob)
        blob += target.encode() + b"\0"
    trie = {}
    for key, value in entries.items():
        node = trie
        for byte in key:
            node = node.setdefault(byte, {})
        node[-1] = value
    units = {0: 0}
    used = {0}

    def place(at, node):
        labels = [b for b in node if b >= 0]
        base = 1
        while True:  # offset such that every child and the leaf are free
            spots = [at ^ base ^ b for b in labels] + ([at ^ base] if -1 in node else [])
            if all(s not in used for s in spots) and base < (1 << 21):
                break
            base += 1
        used.update(spots)
        units[at] = units.get(at, 0) | (base << 10) | (0x100 if -1 in node else 0)
        if -1 in node:
            units[at ^ base] = node[-1] | 0x80000000
        for b in labels:
            units[at ^ base ^ b] = b
        for b in labels:
            place(at ^ base ^ b, node[b])

    place(0, trie)
    size = max(units) + 256
    array = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(size))
    return struct.pack("<I", len(array)) + array + blob


CHARSMAP = charsmap({"\u00a0": " ", "\t": " ", "\n": " ", "\r": " ", "ﬁ": "fi", "Ａ": "A", "½": "1/2", "①": "1", "e\u0301": "é", "\u0007": "", "\u200b": " ", "…": "...", "👩": "woman", "\ufeff": "", " ": " "})

N = normalizers
P = pre_tokenizers
D = decoders

for name, n in {
    "NFC": N.NFC(), "NFD": N.NFD(), "NFKC": N.NFKC(), "NFKD": N.NFKD(), "Lowercase": N.Lowercase(), "StripAccents": N.StripAccents(), "NFD, StripAccents": N.Sequence([N.NFD(), N.StripAccents()]),
    "Nmt": N.Nmt(), "Strip": N.Strip(), "Strip left": N.Strip(left=True, right=False), "Strip right": N.Strip(left=False, right=True), "Prepend": N.Prepend("▁"), "ByteLevel": N.ByteLevel(), "Precompiled": N.Precompiled(CHARSMAP),
    "Replace text": N.Replace(" ", "▁"), "Replace two spaces": N.Replace(Regex(" {2,}"), " "), "Replace white space": N.Replace(Regex(r"\s+"), " "), "Replace by nothing": N.Replace(Regex(r"[\p{P}\d]"), ""), "Replace quotes": N.Replace("''", '"'), "Replace special text": N.Replace("[.", "+"),
    "Replace beginning": N.Replace(Regex("^"), "▁"), "Replace end": N.Replace(Regex("$"), "."), "Replace possibly empty": N.Replace(Regex(r"\d*"), "0"),
    "Sequence": N.Sequence([N.Strip(), N.NFKC(), N.Lowercase(), N.Replace(Regex(r"\s"), "_")]), "Sequence of none": N.Sequence([]),
}.items():
    add(f"normalizer {name}", words(n))
for bits in range(16):
    for accents in [None] if bits % 2 == 0 else [True]:
        clean, chinese, lower = bool(bits & 2), bool(bits & 4), bool(bits & 8)
        n = N.BertNormalizer(clean_text=clean, handle_chinese_chars=chinese, strip_accents=accents, lowercase=lower)
        add(f"normalizer BertNormalizer clean {clean}, chinese {chinese}, accents {accents}, lower {lower}", words(n))

BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "bloom": r" ?[^(\s|[.,!?…。,、।۔،])]+",
    "clip": r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "deepseek": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cjk": r"[一-龥\x{3040}-ゟ゠-ヿ]+",
    "words": r"\w+|[^\w\s]+", "in class": r"[\w']+", "not word": r"[^\w]", "W": r"\W+", "boundary": r"\b\w", "not boundary": r"\Ba", "anchors": r"^.|.$", "text anchors": r"\A.|.\z|x\Z",
    "posix": r"[[:alpha:]]+|[[:digit:][:punct:]]|[[:^space:]&&[:upper:]]", "posix 2": r"[[:lower:]]+|[[:blank:]]|[[:cntrl:]]|[[:xdigit:]]", "intersection": r"[\w&&[^aeiou\d]]+", "nested": r"[a-c[x-z]]+", "negated nested": r"[^a[\s\p{P}]]+",
    "lookbehind": r"(?<=a)\w|(?<!\s)[A-Z]", "lookahead": r"\w(?=\s)|a(?!b)", "lazy": r"a+?b|\w??\s", "atomic": r"(?>a+)b|(?>\w+)\s", "group": r"(a|b)+|(?:xy){2}", "named": r"(?<n>[ac])t", "count": r"a{2,3}|\d{,2}x|[eé]{1}", "brace": r"a{|{x|\}",
    "property": r"\p{Han}+|\p{^L}|\P{N}", "escapes": r"\t|\n|\x{e9}|\u4e2d|\x41|\-|\.|\h+", "scripts": r"\p{Hiragana}+|\p{Katakana}|\p{Hangul}+|\p{Cyrillic}|\p{Greek}+", "dot": r".", "optional": r"x?", "ignore case": r"(?i)[a-k]+", "digits": r"\d{1,3}(?=(?:\d{3})*\b)", "empty choice": r"a|",
}
for name, regex in PATTERNS.items():
    for invert in (False, True):
        behavior = BEHAVIORS[(len(name) + invert) % 5]
        add(f"pre-tokenizer Split {name} {'invert ' if invert else ''}{behavior}", words(pre=P.Split(Regex(regex), behavior, invert)))
    add(f"pre-tokenizer Split {name} isolated", words(pre=P.Split(Regex(regex), "isolated")))
for behavior in BEHAVIORS:
    for invert in (False, True):
        add(f"pre-tokenizer Split text {behavior} {invert}", words(pre=P.Split(" ", behavior, invert)))
        add(f"pre-tokenizer Split regex {behavior} {invert}", words(pre=P.Split(Regex(r"[\s.,a]"), behavior, invert)))
    add(f"pre-tokenizer Punctuation {behavior}", words(pre=P.Punctuation(behavior)))
for name, p in {
    "Whitespace": P.Whitespace(), "WhitespaceSplit": P.WhitespaceSplit(), "BertPreTokenizer": P.BertPreTokenizer(), "Digits": P.Digits(), "Digits individual": P.Digits(individual_digits=True), "CharDelimiterSplit": P.CharDelimiterSplit("-"), "CharDelimiterSplit space": P.CharDelimiterSplit(" "),
    "FixedLength": P.FixedLength(length=3), "Sequence": P.Sequence([P.WhitespaceSplit(), P.Punctuation(), P.Digits(individual_digits=True)]), "Sequence of none": P.Sequence([]),
    **{f"ByteLevel space {a} regex {b}": P.ByteLevel(add_prefix_space=a, use_regex=b) for a in (False, True) for b in (False, True)},
    "WhitespaceSplit, ByteLevel": P.Sequence([P.WhitespaceSplit(), P.ByteLevel(add_prefix_space=True)]),
    **{f"Metaspace {s} split {b}": P.Metaspace(prepend_scheme=s, split=b) for s in ("always", "never", "first") for b in (False, True)},
    **{f"WhitespaceSplit, Metaspace {s}": P.Sequence([P.WhitespaceSplit(), P.Metaspace(prepend_scheme=s)]) for s in ("always", "never", "first")},
    "Metaspace _": P.Metaspace(replacement="_"), "Punctuation, Metaspace first": P.Sequence([P.Punctuation(), P.Metaspace(prepend_scheme="first")]),
}.items():
    tokenizer = words(pre=p)
    if "first" in name:  # pieces that are not at the start of the text have no ▁
        vocab = {"[UNK]": 0}
        for form in ("always", "never"):
            other = json.loads(words(pre=p).to_str())
            text = json.dumps(other).replace('"first"', json.dumps(form))
            for t in TEXTS:
                for piece, _ in Tokenizer.from_str(text).pre_tokenizer.pre_tokenize_str(t):
                    vocab.setdefault(piece, len(vocab))
        tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = p
    add(f"pre-tokenizer {name}", tokenizer)

FIRST_VOCAB = sorted({c for t in TEXTS for c in t} | {"▁"} | {"▁" + c for t in TEXTS for c in t})
for name, n in {"Strip": N.Strip(), "NFKC": N.NFKC(), "Prepend": N.Prepend("x"), "Precompiled": N.Precompiled(CHARSMAP), "Replace": N.Replace(Regex(r"^\s+"), ""), "Lowercase": N.Lowercase(), "Nmt": N.Nmt(), "Bert": N.BertNormalizer()}.items():
    for split in (False, True):
        tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0)] + [(p, -len(p) / 2) for p in FIRST_VOCAB], 0, False))
        tokenizer.normalizer = n
        tokenizer.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Metaspace(prepend_scheme="first")]) if split else P.Metaspace(prepend_scheme="first")
        tokenizer.add_special_tokens([AddedToken("[MASK]", normalized=False)])
        add(f"normalizer {name}, {'WhitespaceSplit, ' if split else ''}Metaspace first", tokenizer)


def trained(model, trainer, pre=None, normalizer=None):
    tokenizer = Tokenizer(model)
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


CORPUS = [*FIXED[:30], *["low lower lowest new newer newest wide wider widest", "a cat and a dog, a café and the cats", "token tokens tokenizer tokenizers ab abc abcd"] * 8]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def bpe(edit=None, size=320, pre=None, normalizer=None, special=(), drop="", **options):
    """Trained byte pairs; the characters in `drop` are removed from the vocabulary."""
    keep = {k: v for k, v in options.items() if k in ("continuing_subword_prefix", "end_of_word_suffix")}
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), show_progress=False, limit_alphabet=60, **keep)
    unk = {"unk_token": options["unk_token"]} if "unk_token" in options else {}
    tokenizer = trained(models.BPE(**unk), trainer, pre, normalizer)
    file = json.loads(tokenizer.to_str())
    file["model"].update(options)
    return Tokenizer.from_str(json.dumps(file))


W = P.Whitespace()
add("BPE", bpe(pre=W))
add("BPE without pre-tokenizer", bpe())
for fuse in (False, True):
    add(f"BPE unknown, fuse_unk {fuse}", bpe(pre=P.WhitespaceSplit(), special=["<unk>"], unk_token="<unk>", fuse_unk=fuse))
    add(f"BPE unknown without pre-tokenizer, fuse_unk {fuse}", bpe(special=["<unk>"], unk_token="<unk>", fuse_unk=fuse))
    add(f"BPE byte_fallback, fuse_unk {fuse}", bpe(special=["<unk>", *BYTES], size=500, unk_token="<unk>", fuse_unk=fuse, byte_fallback=True, pre=P.Metaspace()))
    add(f"BPE byte_fallback with some bytes, fuse_unk {fuse}", bpe(special=["<unk>", *BYTES[:0xE5]], size=500, unk_token="<unk>", fuse_unk=fuse, byte_fallback=True, pre=P.Metaspace()))
add("BPE continuing_subword_prefix", bpe(pre=W, special=["[UNK]"], unk_token="[UNK]", continuing_subword_prefix="##"))
add("BPE end_of_word_suffix", bpe(pre=W, special=["[UNK]"], unk_token="[UNK]", end_of_word_suffix="</w>"))
add("BPE prefix and suffix", bpe(pre=W, special=["[UNK]"], unk_token="[UNK]", continuing_subword_prefix="@@", end_of_word_suffix="</w>"))
add("BPE ignore_merges", bpe(pre=W, ignore_merges=True), lambda f: f["model"]["vocab"].update({"widest": 320, "café": 321}))
add("BPE ByteLevel", bpe(pre=P.ByteLevel(add_prefix_space=False), size=400, special=["<|endoftext|>"]))
add("BPE byte level normalizer", bpe(normalizer=N.ByteLevel(), size=400))
add("BPE merges as text", bpe(pre=W), lambda f: f["model"].update(merges=[" ".join(m) for m in f["model"]["merges"]]))

for limit in (100, 4):
    add(f"WordPiece max_input_chars_per_word {limit}", trained(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=limit), trainers.WordPieceTrainer(vocab_size=320, special_tokens=["[UNK]"], show_progress=False), W), lambda f, limit=limit: f["model"].update(max_input_chars_per_word=limit))
add("WordPiece prefix", trained(models.WordPiece(unk_token="<unk>", continuing_subword_prefix="@@"), trainers.WordPieceTrainer(vocab_size=320, special_tokens=["<unk>"], continuing_subword_prefix="@@", show_progress=False), P.WhitespaceSplit()))
add("WordPiece empty prefix", Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "aa": 2, "b": 3, "c": 4, "at": 5, "é": 6, "👩": 7, " ": 8}, unk_token="[UNK]", continuing_subword_prefix="")))
add("WordLevel", trained(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False), W))
add("WordLevel without unknown token", trained(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=60, show_progress=False), W))

SCORED = [("<unk>", 0.0), ("<s>", 0.0), ("▁", -2.0), ("▁a", -3.0), ("a", -3.5), ("b", -3.5), ("c", -4.0), ("t", -3.9), ("cat", -5.0), ("▁cat", -5.5), ("at", -4.5), ("aa", -5.1), ("aaa", -7.4), ("aaaa", -9.0), ("low", -6.0), ("er", -5.0), ("l", -6), ("o", -6), ("w", -6), ("e", -6), ("r", -6), ("s", -5), ("x", -6), ("中", -7), ("文", -7), ("中文", -9), ("👩", -8), ("é", -7), ("▁<", -9), (" ", -4.0)]
for fallback in (False, True):
    for pre in (None, P.Metaspace(), W):
        vocab = SCORED + ([(b, -12.0) for b in BYTES] if fallback else [])
        tokenizer = Tokenizer(models.Unigram(vocab, 0, fallback))
        if pre is not None:
            tokenizer.pre_tokenizer = pre
        add(f"Unigram byte_fallback {fallback}, {type(pre).__name__}", tokenizer)
add("Unigram byte_fallback with some bytes", Tokenizer(models.Unigram(SCORED + [(b, -12.0) for b in BYTES[:0xE5]], 0, True)))
add("Unigram without unknown token", Tokenizer(models.Unigram(SCORED[1:], None, False)))
add("Unigram unknown in the middle, equal tokens", Tokenizer(models.Unigram([("a", -1.0), ("b", -1.0), ("?", -3.0), ("ab", -2.0), ("a", -0.5), (" ", -1.0)], 2, False)))
add("Unigram Precompiled", (lambda t: (setattr(t, "normalizer", N.Precompiled(CHARSMAP)), setattr(t, "pre_tokenizer", P.Metaspace()), t)[-1])(Tokenizer(models.Unigram(SCORED, 0, False))))

CHARACTERS = sorted({c for t in TEXTS for c in t} | set("▁Ġ"))


def added(tokens, normalizer=None, pre=None):
    vocab = {"[UNK]": 0}
    for c in CHARACTERS:
        vocab.setdefault(c, len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab, [], unk_token="[UNK]"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    for token in tokens:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    return tokenizer


for bits in range(16):
    flags = {"single_word": bool(bits & 1), "lstrip": bool(bits & 2), "rstrip": bool(bits & 4), "normalized": bool(bits & 8)}
    tokens = [AddedToken(c, special=c[0] in "<[", **flags) for c in ("[MASK]", "<s>", "cat", "tok", "é", " x", "token")]
    name = "added tokens " + ", ".join(f"{k} {v}" for k, v in flags.items())
    add(name, added(tokens))
    add(name + ", Lowercase", added(tokens, N.Lowercase(), W))
    add(name + ", Prepend, Replace", added(tokens, N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])))
add("added tokens with a common beginning", added([AddedToken(c, normalized=False) for c in ("a", "ab", "abc", "b", "to", "token", "ken")]))
add("added tokens equal after the normalizer", added([AddedToken("cat", normalized=True), AddedToken("CAT", normalized=True, special=True), AddedToken("Cat", normalized=False)], N.Lowercase()))

PIECES = ["▁a", "a", "Ġthe", "##s", "cat</w>", "<0xE4>", "<0xBD>", "<0xA0>", "<0xFF>", "<0x4>", "<0x+f>", ".", " .", "n't", "'s", "do", "not", "▁▁x▁", "|", "<pad>", "é", "Ã©", "¡Ģ", "x▁", "▁", "hello", "##", "  ", "!", "?", "do not", "🤖"]
for name, d in {
    "ByteLevel": D.ByteLevel(), "WordPiece": D.WordPiece(), "WordPiece no cleanup": D.WordPiece(prefix="@@", cleanup=False), "BPEDecoder": D.BPEDecoder(), "BPEDecoder @@": D.BPEDecoder(suffix="▁"), "ByteFallback": D.ByteFallback(), "Fuse": D.Fuse(),
    **{f"Metaspace {s}": D.Metaspace(prepend_scheme=s) for s in ("always", "never", "first")}, "CTC": D.CTC(), "CTC no cleanup": D.CTC(cleanup=False), "CTC other": D.CTC(pad_token="a", word_delimiter_token="▁"),
    "Replace text": D.Replace("▁", " "), "Replace regex": D.Replace(Regex(r"[▁.]+"), "_"), "Strip": D.Strip(content="▁", left=1, right=0), "Strip both": D.Strip(content=" ", left=2, right=2), "Strip right": D.Strip(content="▁", left=0, right=1),
    "llama": D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(content=" ", left=1, right=0)]), "Sequence of none": D.Sequence([]),
}.items():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, **{p: i + 1 for i, p in enumerate(PIECES)}}, unk_token="[UNK]"))
    tokenizer.decoder = d
    r = random.Random(SEED)
    rows = [[i + 1] for i in range(len(PIECES))] + [[r.randrange(1, len(PIECES) + 1) for _ in range(r.choice([2, 3, 5, 9, 20]))] for _ in range(COUNT - 10)]
    CASES.append({"name": f"decoder {name}", "file": json.loads(tokenizer.to_str()), "decodes": rows, "decoded": [decoded(tokenizer, row) for row in rows]})

S = [("[CLS]", 1), ("[SEP]", 2)]
for name, p in {
    "BertProcessing": processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1)), "RobertaProcessing": processors.RobertaProcessing(("[SEP]", 2), ("[CLS]", 1)), "TemplateProcessing": processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="$A $B", special_tokens=S),
    "TemplateProcessing start": processors.TemplateProcessing(single="[CLS] $A", pair="$A $B", special_tokens=S), "TemplateProcessing end": processors.TemplateProcessing(single="$A [SEP]", pair="$A $B", special_tokens=S), "TemplateProcessing other id": processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="$A $B", special_tokens=[("[CLS]", 3), ("[SEP]", 4)]),
    "ByteLevel": processors.ByteLevel(), "Sequence": processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="$A $B", special_tokens=S)]),
}.items():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "cat": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = W
    tokenizer.post_processor = p
    add(f"post-processor {name}", tokenizer)

with gzip.GzipFile(OUT, "wb", mtime=0) as f:
    f.write(json.dumps({"texts": TEXTS, "cases": CASES}, ensure_ascii=False, separators=(",", ":")).encode())
print(len(CASES), "cases,", len(TEXTS), "texts,", OUT.stat().st_size, "bytes")
