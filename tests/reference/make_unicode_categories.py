#!/usr/bin/env python3
"""Writes src/tokenize/unicode_categories.cpp: the general category of every code point, as the oniguruma inside
Hugging Face's `tokenizers` sees it, so that Eddy's splits are the same whatever Unicode version PCRE2 was built with.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers
    /tmp/venv/bin/python tests/reference/make_unicode_categories.py src/tokenize/unicode_categories.cpp
"""
import sys

import tokenizers
from tokenizers import Regex, pre_tokenizers

NAMES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
SURROGATES = range(0xD800, 0xE000)


def main():
    points = [c for c in range(0x110000) if c not in SURROGATES]
    text = "".join(map(chr, points))
    category = [None] * 0x110000
    for c in SURROGATES:
        category[c] = LETTERS[NAMES.index("Cs")]
    for name, letter in zip(NAMES, LETTERS):
        if name in ("Cs", "Cn"):
            continue
        left = pre_tokenizers.Split(Regex(r"\p{%s}+" % name), "removed").pre_tokenize_str(text)
        outside = bytearray(len(points))
        for _, (begin, end) in left:
            outside[begin:end] = b"\1" * (end - begin)
        for i, c in enumerate(points):
            if not outside[i]:
                assert category[c] is None, hex(c)
                category[c] = letter
    runs, begin = [], 0
    for c in range(1, 0x110001):
        if c == 0x110000 or category[c] != category[begin]:
            runs.append((category[begin] or LETTERS[NAMES.index("Cn")]) + (str(c - begin) if c - begin > 1 else ""))
            begin = c
    lines, line = [], ""
    for run in runs:
        if len(line) + len(run) > 112:
            lines.append(line)
            line = ""
        line += run
    lines.append(line)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write(
            "// Written by tests/reference/make_unicode_categories.py from tokenizers %s: do not edit.\n"
            '#include "tokenize/unicode_data.h"\n\nnamespace eddy::tokenize {\n\n// clang-format off\n'
            "const std::string_view kCategoryRuns =\n%s;\n// clang-format on\n\n}  // namespace eddy::tokenize\n"
            % (tokenizers.__version__, "\n".join('    "%s"' % s for s in lines)))
    print(f"{len(runs)} runs, {len(lines)} lines")


main()
