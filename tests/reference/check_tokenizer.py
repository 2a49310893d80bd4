#!/usr/bin/env python3
"""Loads a tokenizer.json (one that `eddy-shard train-tokenizer` wrote, or any other) in Hugging Face's `tokenizers` and
compares its ids and decoded text with Eddy's, on texts and on random strings.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers
    /tmp/venv/bin/python tests/reference/check_tokenizer.py --tokenizer tokenizer.json --text a.tex b.tex \\
        --eddy-shard build/cpu/bin/eddy-shard [--trained]

--trained: the tokenizer was trained by Eddy on exactly these texts (.txt files of clean UTF-8); every text must then
decode to itself, and Hugging Face's own trainer find the same vocabulary and merges. The exit status is 1 when anything
differs.
"""
import argparse
import json
import random
import subprocess
import tempfile

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

ALPHABETS = [
    "ab \n1", " \t\r\n\u00a0\u2003\u3000x", "aé\u0301ß\u0600\u0661 ", "漢字かなカナ・ー゛\u3040\u3000。1a", "\\{}$^_%&~#@!?.,;:-+=<>|/()[]'\"`a1 ",
    "\u180e\u200b\ufeff\x00\x1f\x7f\x85 a\n", "😀👩\u200d💻\U0001f1e9\U0001f1ea a1", "0123456789٠½Ⅷ²a ", "aA'sSlLdDmMtTvVrReE ",
]


def eddy_lines(arguments, command, values):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(value) + "\n" for value in values)
        file.flush()
        out = subprocess.run([arguments.eddy_shard, command, "--tokenizer", arguments.tokenizer, "--jsonl", file.name],
                             check=True, capture_output=True)
    return [json.loads(line) for line in out.stdout.split(b"\n") if line]


def random_strings(count):
    generator = random.Random(7)
    for _ in range(count):
        alphabet = generator.choice(ALPHABETS) if generator.random() < 0.8 else "".join(ALPHABETS)
        yield "".join(generator.choice(alphabet) for _ in range(generator.randint(1, 60)))
    for _ in range(count // 10):  # any code points
        yield "".join(chr(generator.choice([generator.randrange(0x3000), generator.randrange(0xE000, 0x110000)]))
                      for _ in range(40))


def trained_alike(texts, file):
    ours = json.loads(open(file, encoding="utf-8").read())
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = Tokenizer.from_file(file).pre_tokenizer
    added = [AddedToken(t["content"], special=t["special"], normalized=t["normalized"]) for t in ours["added_tokens"]]
    theirs.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=len(ours["model"]["vocab"]), special_tokens=added,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    model = json.loads(theirs.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return model["vocab"] == ours["model"]["vocab"] and merges == ours["model"]["merges"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--eddy-shard", required=True)
    parser.add_argument("--text", nargs="+", required=True)
    parser.add_argument("--random", type=int, default=20000)
    parser.add_argument("--trained", action="store_true")
    arguments = parser.parse_args()
    reference = Tokenizer.from_file(arguments.tokenizer)
    texts = [open(name, encoding="utf-8", newline="").read() for name in arguments.text]
    added = [token.content for token in reference.get_added_tokens_decoder().values()]
    samples = texts + [line for text in texts for line in text.splitlines(keepends=True)] + list(random_strings(arguments.random))
    samples += [f"a {token} b{token}{token}\n" for token in added]
    ours = eddy_lines(arguments, "tokenize", [{"text": sample} for sample in samples])
    theirs = [reference.encode(sample, add_special_tokens=False).ids for sample in samples]
    decoded = [line["text"] for line in eddy_lines(arguments, "detokenize", ours)]
    different = [s for s, a, b in zip(samples, ours, theirs) if a != b]
    lost = [s for s, text, ids in zip(samples, decoded, theirs) if text != reference.decode(ids, skip_special_tokens=False)]
    if arguments.trained:
        lost += [s for s, text in zip(samples, decoded) if s != text]
    ok = not different and not lost and len(ours) == len(samples) == len(decoded)
    print(f"tokenizers {tokenizers.__version__}: {len(samples)} texts, {sum(map(len, theirs))} tokens, "
          f"{len(different)} with other ids, {len(lost)} decoded to another text")
    for sample in (different + lost)[:5]:
        print("  ", repr(sample[:100]))
    if arguments.trained:
        alike = trained_alike(texts, arguments.tokenizer)
        print("Hugging Face's trainer finds the same vocabulary and merges" if alike else "Hugging Face's trainer differs")
        ok = ok and alike
    raise SystemExit(0 if ok else 1)


main()
