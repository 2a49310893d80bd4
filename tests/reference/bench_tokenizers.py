#!/usr/bin/env python3
"""Eddy's tokenizer against Hugging Face's `tokenizers` (Rust) on the same text in one run, one thread each.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers
    /tmp/venv/bin/python tests/reference/bench_tokenizers.py --tokenizer tokenizer.json --text paper.tex \\
        --eddy-bench build/cpu/bin/eddy-bench --eddy-shard build/cpu/bin/eddy-shard

Times are processor seconds, the best of several passes. cold: nothing was encoded before; warm: the text was. The ids of
the text and of the runs are compared; the exit status is 1 when one differs.
"""
import os

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse
import json
import subprocess
import tempfile
import time

import tokenizers

RUNS = {"letter": "a", "space": " ", "digit": "1"}


def timed(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def eddy_ids(arguments, texts):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
        file.flush()
        out = subprocess.run([arguments.eddy_shard, "tokenize", "--tokenizer", arguments.tokenizer, "--jsonl", file.name],
                             check=True, capture_output=True)
    return [json.loads(line) for line in out.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser()
    for name in ("tokenizer", "text", "eddy-bench", "eddy-shard"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--passes", type=int, default=3)
    arguments = parser.parse_args()

    with open(arguments.text, encoding="utf-8", newline="") as file:
        text = file.read()
    megabytes = len(text.encode()) / 1e6
    out = subprocess.run([arguments.eddy_bench, "tokenizer", "--tokenizer", arguments.tokenizer, "--text", arguments.text,
                          "--passes", str(arguments.passes), "--json"], check=True, capture_output=True)
    eddy = json.loads(out.stdout)

    cold, warm = [], []
    for _ in range(arguments.passes):
        reference = tokenizers.Tokenizer.from_file(arguments.tokenizer)
        cold.append(timed(lambda: reference.encode(text, add_special_tokens=False))[0])
        warm.append(timed(lambda: reference.encode(text, add_special_tokens=False))[0])
    theirs = {"cold": megabytes / min(cold), "warm": megabytes / min(warm)}
    print(f"{arguments.text}: {megabytes:.2f} MB; tokenizers {tokenizers.__version__}; MB/s of one thread")
    print(f"{'':6}{'Eddy':>10}{'HF':>10}{'ratio':>10}")
    for kind in ("cold", "warm"):
        ours = eddy[kind + "_mb_per_s"]
        print(f"{kind:6}{ours:10.2f}{theirs[kind]:10.2f}{ours / theirs[kind]:10.1f}")

    samples = [text] + [character * size for character in RUNS.values() for size in (1 << 20, 2 << 20)]
    encoded = [timed(lambda s=s: reference.encode(s, add_special_tokens=False).ids) for s in samples]
    print("runs of one character: t(2 MiB) / t(1 MiB)")
    for i, name in enumerate(RUNS):
        one, two = encoded[1 + 2 * i][0], encoded[2 + 2 * i][0]
        print(f"{name:8} Eddy {eddy['runs'][name]['ratio']:.2f} ({eddy['runs'][name]['s_2_mib']:.3f} s)   "
              f"HF {two / one:.2f} ({two:.3f} s)")
    equal = [ours == theirs for ours, (_, theirs) in zip(eddy_ids(arguments, samples), encoded)]
    print(f"ids equal: {sum(equal)} of {len(samples)} (the text of {len(encoded[0][1])} tokens, the runs)")
    raise SystemExit(0 if len(equal) == len(samples) and all(equal) else 1)


main()
