#!/usr/bin/env python3
"""Eddy's MinHash against datatrove's (PyPI) on the same documents in one run, one core each.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install datatrove nltk
    /tmp/venv/bin/python tests/reference/bench_minhash.py --eddy-bench build/cpu/bin/eddy-bench [--documents 100]

Both make word 5-grams and 14 bands of 8 rows. datatrove's own signature step is called on texts in memory, without its
reading and writing; with a word splitter at blanks in place of its default, which would cost it more. Times are
processor seconds. The exit status is 1 when Eddy is less than 10 times as fast.
"""
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time


def made_documents(documents, words):
    rng = random.Random(1)
    lexicon = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 11))) for _ in range(20000)]
    return [" ".join(lexicon[int(20000 * rng.random() ** 3)] for _ in range(words)) for _ in range(documents)]


def datatrove_seconds(texts):
    from datatrove.pipeline.dedup import minhash

    class Blanks:  # the cheapest word splitter there is
        def word_tokenize(self, text):
            return text.split(" ")

    minhash.load_word_tokenizer = lambda language: Blanks()
    step = minhash.MinhashDedupSignature(output_folder=tempfile.mkdtemp(),
                                         config=minhash.MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8))
    try:
        step._hash_func("a")
    except TypeError:  # newer releases of xxhash take bytes only, which datatrove does not know yet
        import xxhash

        step._hash_func = lambda s: xxhash.xxh64_intdigest(s.encode())
    best = 1e300
    for _ in range(2):
        start = time.process_time()
        for text in texts:
            shingles = step.get_shingles(text)
            if shingles.size:
                step.get_signature(shingles)
        best = min(best, time.process_time() - start)
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--eddy-bench", required=True)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--words", type=int, default=3000)
    arguments = parser.parse_args()
    texts = made_documents(arguments.documents, arguments.words)
    megabytes = sum(len(t.encode()) for t in texts) / 1e6
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
        file.flush()
        out = subprocess.run([arguments.eddy_bench, "corpus-minhash", "--jsonl", file.name, "--json"], check=True,
                             capture_output=True)
    eddy = json.loads(out.stdout)
    theirs = datatrove_seconds(texts)
    ratio = theirs / eddy["seconds"]
    print(f"{megabytes:.1f} MB: Eddy {eddy['mb_per_s']:.1f} MB/s, datatrove {megabytes / theirs:.2f} MB/s, "
          f"ratio {ratio:.1f}")
    return 0 if ratio >= 10 else 1


if __name__ == "__main__":
    sys.exit(main())
