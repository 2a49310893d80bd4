#!/usr/bin/env python3
"""Compares the text that Eddy takes from a PDF with a reference text, beside pdftotext -layout and pypdf.

usage: compare_pdf.py REFERENCE.txt|.tei.xml EDDY.txt FILE.pdf

Prints one JSON object: for eddy, pdftotext, pypdf the word-level F1 (words of three letters or more, lower case, as
multisets; mathematics of the reference left out) and the F1 of 5-grams of words, which falls where columns are mixed.
A tool that is not installed is left out.
"""
import collections
import json
import re
import subprocess
import sys
import unicodedata


def words(s):
    s = unicodedata.normalize("NFKC", s).replace("\u2019", "'")
    return [w.lower() for w in re.findall(r"[^\W\d_]{3,}", s)]


def f1(a, b):
    common = sum((a & b).values())
    return 0.0 if common == 0 else 2 * common / (sum(a.values()) + sum(b.values()))


def grams(w, n):
    return collections.Counter(zip(*(w[i:] for i in range(n))))


def without_mathematics(s):
    s = re.sub(r"\$\$.*?\$\$", " ", s, flags=re.S)
    s = re.sub(r"(?<!\\)\$[^$]*?(?<!\\)\$", " ", s)
    return re.sub(r"\\[A-Za-z]+", " ", s)


def tei(s):
    body = re.search(r"<body>(.*?)</body>", s, flags=re.S)
    abstract = re.search(r"<abstract>(.*?)</abstract>", s, flags=re.S)
    text = (abstract.group(1) if abstract else "") + " " + (body.group(1) if body else "")
    text = re.sub(r"<(figure|table|formula)\b.*?</\1>", " ", text, flags=re.S)
    return re.sub(r"&[a-z]+;", " ", re.sub(r"<[^>]+>", " ", text))


def main():
    reference, eddy, pdf = sys.argv[1:4]
    text = open(reference, encoding="utf-8").read()
    wanted = words(tei(text) if reference.endswith(".xml") else without_mathematics(text))
    texts = {"eddy": open(eddy, encoding="utf-8").read()}
    try:
        texts["pdftotext"] = subprocess.run(["pdftotext", "-layout", pdf, "-"], check=True, capture_output=True).stdout.decode(
            "utf-8", "replace")
    except FileNotFoundError:
        pass
    try:
        import logging
        import pypdf
        logging.disable(logging.CRITICAL)
        texts["pypdf"] = "\n".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages)
    except ImportError:
        pass
    result = {}
    for name, got in texts.items():
        got = words(got)
        result[name] = {"f1": round(f1(collections.Counter(wanted), collections.Counter(got)), 4),
                        "order": round(f1(grams(wanted, 5), grams(got, 5)), 4)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
