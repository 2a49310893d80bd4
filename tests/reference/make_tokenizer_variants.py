#!/usr/bin/env python3
"""Writes tests/tokenize/variants.jsonl: the ids that Hugging Face's `tokenizers` gives short texts, under every kind of
split, ByteLevel option and added token that Eddy reads. The first line has a text and the tokenizer.json that Hugging
Face's trainer makes of it with DeepSeek-V3's splits; each other line has the pre-tokenizer, added tokens and model options
to put into that file.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers
    /tmp/venv/bin/python tests/reference/make_tokenizer_variants.py tests/tokenize/variants.jsonl
"""
import json
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers as pre, trainers

CORPUS = ("The sum of the theta functions is the zeta function's value; we'll see that it's 1234567 or so.\n\n  In the end "
          "there are 12 words, and the words' sum is \\alpha + \\beta^{2}.\n\n\tThe EndOfTheLine: don't, I'm, they've, WE'RE.\n")
LLAMA = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


# DeepSeek-V3's third split; the first two are in VARIANTS.
DEEPSEEK = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^""" + "\r\n" + r"""\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"""
            r""" ?[\p{P}\p{S}]+[""" + "\r\n" + r"""]*|\s*[""" + "\r\n" + r"""]+|\s+(?!\S)|\s+""")


def split(pattern, behavior, invert=False):
    return pre.Split(Regex(pattern), behavior, invert)


def byte_level(prefix=False, regex=False):
    return pre.ByteLevel(add_prefix_space=prefix, use_regex=regex)


VARIANTS = {
    "DeepSeek-V3": [split(r"\p{N}{1,3}", "isolated"), split("[一-龥\u3040-ゟ゠-ヿ]+", "isolated"), split(DEEPSEEK, "isolated"),
                    byte_level()],
    "GPT-2": [byte_level(regex=True)],
    "GPT-2 with a prefix space": [byte_level(prefix=True, regex=True)],
    "a prefix space before each piece": [split(r"\s+", "isolated"), byte_level(prefix=True)],
    "Llama 3": [split(LLAMA, "isolated"), byte_level()],
    "o200k": [split(O200K, "isolated"), byte_level()],
    "removed": [split(r"\s", "removed"), byte_level()],
    "removed, inverted": [split(LLAMA, "removed", True), byte_level()],
    "merged with previous": [pre.Split(" ", "merged_with_previous"), byte_level()],
    "merged with previous, inverted": [split(r"[\s\p{P}]", "merged_with_previous", True), byte_level()],
    "merged with next": [pre.Split(" ", "merged_with_next"), byte_level()],
    "merged with next, inverted": [split("[a-z]", "merged_with_next", True), byte_level()],
    "contiguous": [split(r"\w", "contiguous"), byte_level()],
    "contiguous, inverted": [split(r"\W", "contiguous", True), byte_level()],
    "a literal of special characters": [pre.Split("a.b*[", "isolated"), byte_level()],
    "digits, each": [pre.Digits(individual_digits=True), byte_level(prefix=True, regex=True)],
    "digits together": [pre.Digits(individual_digits=False), byte_level(regex=True)],
    "empty matches": [split("a*", "isolated"), byte_level()],
    "empty matches, merged": [split(r"\d*", "merged_with_previous"), byte_level()],
    "anchors, \\h, \\w, \\z": [split(r"\b|\h+|^\s*\\\w+$|.\z", "isolated"), byte_level()],
    "lookbehind, negated classes": [split(r"(?<=[a-z])(?=[A-Z])|[^\S\r\n]+|\P{L}{2,}", "isolated"), byte_level()],
    "scripts, escapes": [split(r"[\p{Han}\p{Hiragana}\p{^L}]+|x{,2}y|\u00e9|[\]\-a]+|\x41|\x{62}", "isolated"), byte_level()],
    "splits within splits": [split(r"\p{N}{1,3}", "isolated"), split("[一-龥]+", "isolated"), split(LLAMA, "isolated"),
                             byte_level()],
}
ADDED = [AddedToken("<mask>", lstrip=True, special=True), AddedToken("<r>", rstrip=True, normalized=True, special=False),
         AddedToken("word", single_word=True, normalized=True, special=False), AddedToken("<s>x", special=True),
         AddedToken(" sp", normalized=False, special=False, lstrip=True, rstrip=True)]
TEXTS = ["I'll say: it's WE'RE' Don'T 'tis 's12 3456 ½²٠x", "a   b\n\n  c\t\td \r\n\r\ne   1  ", "été e\u0301 naïve ß ſ İ ǅz",
         "漢字かなカナ 1漢2", "x_y a.b*[c] \\alpha\\beta  \\end", "\u180e\u200b\ufeff\x00a\x1f\x7f\x85 \u2028b\u3000c",
         "👩\u200d💻 \U0001f1e9\U0001f1ea 𝐀𝛼 Ⅷ", " word sword word, 1word wordé word", "<mask> a \n <mask>  <r> \t x<r>\n<s>x<s> <s",
         "a sp  sp b spword  <mask>word sp", "", " ", "aaabaaAAAA xyxxyxxxy", "\ua7cb\U0001cc00\U000105c0\u0897\u2427"]


def main():
    generator = random.Random(1)
    alphabet = "abAB  \n\t12'.\\é漢あ\u0301½_-"
    texts = TEXTS + ["".join(generator.choice(alphabet) for _ in range(40)) for _ in range(6)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.pre_tokenizer = pre.Sequence(VARIANTS["DeepSeek-V3"])
    tokenizer.train_from_iterator([CORPUS], trainers.BpeTrainer(
        vocab_size=400, special_tokens=[AddedToken("<s>", special=True)], initial_alphabet=pre.ByteLevel.alphabet(),
        show_progress=False))
    base = json.loads(tokenizer.to_str())
    lines = [{"corpus": CORPUS, "tokenizer": base}]
    tokenizer.add_tokens(ADDED)
    added = json.loads(tokenizer.to_str())["added_tokens"]
    options = [(name, steps, {}) for name, steps in VARIANTS.items()]
    options.append(("ignore_merges", VARIANTS["Llama 3"], {"ignore_merges": True, "merges": []}))
    for name, steps, model in options:
        pre_tokenizer = pre.Sequence(steps) if len(steps) > 1 else steps[0]
        variant = json.loads(json.dumps(base))
        tokenizer.pre_tokenizer = pre_tokenizer
        variant["pre_tokenizer"] = json.loads(tokenizer.to_str())["pre_tokenizer"]
        variant["model"].update(model)
        variant["added_tokens"] = added
        reference = Tokenizer.from_str(json.dumps(variant))
        lines.append({"name": name, "pre_tokenizer": variant["pre_tokenizer"], "model": model, "added_tokens": added,
                      "cases": [[t, reference.encode(t, add_special_tokens=False).ids] for t in texts]})
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


main()
