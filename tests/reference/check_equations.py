#!/usr/bin/env python3
"""Checks the text extracted from a LaTeX paper against its sources, by means of its own: regular expressions over the
flattened source, macros expanded by replacing text. It shares nothing with src/extract.

usage: check_equations.py MAIN.tex EXTRACTED.txt [--show]

Prints one JSON object:
  displays, found        display equations in the source, and how many of them the text holds (by content: blanks,
                         braces, labels, numbers, row options do not count; each occurrence must be found once)
  missing                the first few that were not found
  words, words_found     words of four letters or more in the source's text, and how many the text has (as a multiset)
  commands               preamble commands, environments and bibliography commands left in the text
  comments               comments of the source that are in the text
  bibliography           entries of the bibliography that are in the text
"""
import collections
import json
import os
import re
import sys

DISPLAYS = ("equation|displaymath|align|flalign|alignat|xalignat|gather|multline|eqnarray|subeqnarray|IEEEeqnarray|dmath")


def strip_comments(s, comments=None):
    def gone(m):
        if comments is not None:
            comments.append(m.group(0)[1:].strip())
        return ""
    return re.sub(r"(?<!\\)(?:(?<=\\\\)|(?<!\\))%[^\n]*(\n[ \t]*)?", gone, s)


def group(s, i):
    """The text in the braces that open at s[i], and where it ends."""
    depth, k = 0, i
    while k < len(s):
        if s[k] == "\\":
            k += 1
        elif s[k] == "{":
            depth += 1
        elif s[k] == "}":
            depth -= 1
            if depth == 0:
                return s[i + 1:k], k + 1
        k += 1
    return s[i + 1:], len(s)


def read(path):
    for p in (path + ".tex", path):
        if os.path.isfile(p):
            return open(p, "rb").read()
    return None


def decode(b):
    try:
        s = b.decode("utf-8")
    except UnicodeDecodeError:
        s = b.decode("latin-1")
    return s.replace("\r\n", "\n").replace("\r", "\n")


def flatten(path, folder, comments, depth=0):
    b = read(path)
    if b is None or depth > 8:
        return ""
    s = decode(b)
    s = re.sub(r"\\begin\{(verbatim\*?|lstlisting|Verbatim|comment|filecontents\*?|tikzpicture|picture)\}.*?\\end\{\1\}", " ", s,
               flags=re.S)
    s = strip_comments(s, comments)
    s = re.sub(r"\\iffalse\b.*?\\fi\b", " ", s, flags=re.S)
    if depth and "\\begin{document}" in s:
        s = s.split("\\begin{document}", 1)[1].rsplit("\\end{document}", 1)[0]

    def put(m):
        name = (m.group(1) or m.group(2) or "").strip()
        return flatten(os.path.join(folder, name), folder, comments, depth + 1) if name else ""
    return re.sub(r"\\(?:input|include|subfile)\s*(?:\{([^{}\\]*)\}|([^\s{}\\]+))", put, s)


def macros_of(s):
    """name -> (arguments, default or None, body, delimiter or None); definitions are cut out of s."""
    macros, out, i = {}, [], 0
    pattern = re.compile(r"\\(?:(newcommand|renewcommand|providecommand|DeclareMathOperator)(\*?)\s*(?:\{\s*\\([A-Za-z]+)\s*\}|\\([A-Za-z]+))"
                         r"|(def|gdef)\s*\\([A-Za-z]+))")
    while True:
        m = pattern.search(s, i)
        if not m:
            out.append(s[i:])
            return macros, "".join(out)
        out.append(s[i:m.start()])
        k, name, count, default = m.end(), m.group(3) or m.group(4) or m.group(6), 0, None
        if m.group(1) and m.group(1) != "DeclareMathOperator":
            a = re.match(r"\s*\[(\d)\]", s[k:])
            if a:
                count, k = int(a.group(1)), k + a.end()
                a = re.match(r"\s*\[([^\]]*)\]", s[k:])
                if a:
                    default, k = a.group(1), k + a.end()
        elif m.group(5):
            a = re.match(r"[^{]*", s[k:])
            text, k = a.group(0).strip(), k + a.end()
            count = text.count("#") if re.fullmatch(r"(#\d)*", text) else -1
        a = re.match(r"\s*", s[k:])
        k += a.end()
        if k < len(s) and s[k] == "{":
            body, k = group(s, k)
            if m.group(1) == "DeclareMathOperator":
                body = "\\operatorname" + m.group(2) + "{" + body + "}"
            if count >= 0 and not (m.group(1) == "providecommand" and name in macros):
                macros[name] = (count, default, body)
        i = k


def expand(s, macros):
    names = "|".join(sorted(map(re.escape, macros), key=len, reverse=True))
    if not names:
        return s
    pattern = re.compile(r"\\(" + names + r")(?![A-Za-z])[ \t]*\n?[ \t]*")
    s = if_file_exists(s)
    for _ in range(12):
        out, i, changed = [], 0, False
        while True:
            m = pattern.search(s, i)
            if not m:
                out.append(s[i:])
                break
            count, default, body = macros[m.group(1)]
            k, arguments = m.end(), []
            if count == 0:
                k = m.end(1)
                while k < len(s) and s[k] in " \t":
                    k += 1
            if default is not None:
                a = re.match(r"\s*\[([^\]]*)\]", s[k:])
                arguments.append(a.group(1) if a else default)
                k += a.end() if a else 0
            while len(arguments) < count:
                while k < len(s) and s[k].isspace():
                    k += 1
                if k >= len(s):
                    break
                if s[k] == "{":
                    text, k = group(s, k)
                else:
                    a = re.match(r"\\[A-Za-z]+|\\.|.", s[k:], flags=re.S)
                    text, k = a.group(0), k + a.end()
                arguments.append(text)
            for n, text in enumerate(arguments):
                body = re.sub(r"#%d" % (n + 1), lambda _: " " + text + " ", body)
            out.append(s[i:m.start()] + body + " ")
            i, changed = k, True
        s = "".join(out)
        if not changed or len(s) > 50_000_000:
            break
    return s


def if_file_exists(s):
    while True:
        m = re.search(r"\\IfFileExists\s*(?=\{)", s)
        if not m:
            return s
        _, k = group(s, m.end())
        parts = []
        for _ in range(2):
            while k < len(s) and s[k].isspace():
                k += 1
            text, k = group(s, k)
            parts.append(text)
        s = s[:m.start()] + parts[0] + s[k:]


def normal(s):
    s = re.sub(r"\\label\s*\{[^{}]*\}|\\(nonumber|notag|qedhere|protect|displaystyle|relax|xspace|noindent)(?![A-Za-z])", "", s)
    s = re.sub(r"\\(?:hspace|vspace)\*?\s*\{[^{}]*\}", "", s)
    s = re.sub(r"\\(begin|end)\s*\{(aligned|gathered|alignedat|split|array|multlined)\}(\{[^{}]*\})?(\[[^\]]*\])?", "", s)
    s = re.sub(r"\\(?:eq|c|C|auto)?ref\*?\s*\{[^{}]*\}|\\cite[a-z]*\s*(\[[^\]]*\])*\s*\{[^{}]*\}|\(\?\?\)|\?\?", "@", s)
    s = re.sub(r"\\\\\*?\s*(\[\s*-?[\d.][^\]]*\])?", r"\\\\", s)
    s = re.sub(r"\\color\s*\{[^{}]*\}", "", s)
    s = re.sub(r"\\(?:ensuremath|protect)(?![A-Za-z])", "", s)
    s = re.sub(r"\\tag\*?\s*\{[^{}]*\}", "", s)
    s = re.sub(r"[\s{}~]", "", s)
    return s.rstrip("\\").rstrip(".,;")


def source_displays(s):
    found = []
    pattern = re.compile(r"\\begin\s*\{((?:%s)\*?)\}(.*?)\\end\s*\{\1\}|(?<!\\)\\\[(.*?)(?<!\\)\\\]|(?<!\\)\$\$(.*?)(?<!\\)\$\$" % DISPLAYS, re.S)
    for m in pattern.finditer(s):
        body = next(g for g in m.groups()[1:] if g is not None)
        if m.group(1) and m.group(1).startswith(("alignat", "xalignat", "IEEEeqnarray")):
            body = re.sub(r"^\s*(\[[^\]]*\])?\s*\{[^{}]*\}", "", body)
        if normal(body):
            found.append(body)
    return found


def words(s):
    s = re.sub(r"\$[^$]*\$", " ", s)
    s = re.sub(r"\\(?:label|ref|eqref|cref|Cref|autoref|cite[a-z]*|includegraphics|bibliography|bibliographystyle|vspace|hspace|input|"
               r"usepackage|begin|end|index|color|textcolor|pageref|href|url|lean|uses|proves|setcounter|addtocounter|addcontentsline|"
               r"pagestyle|thispagestyle|setlength|mathlib|discussion)\*?\s*(\[[^\]]*\])*\s*\{[^{}]*\}", " ", s)
    s = re.sub(r"\\[A-Za-z]+", " ", s)
    return collections.Counter(w.lower() for w in re.findall(r"(?<![A-Za-z\\])[A-Za-z]{4,}(?![A-Za-z])", s))


def main():
    path, text = sys.argv[1], open(sys.argv[2], encoding="utf-8").read()
    comments = []
    source = flatten(path, os.path.dirname(path), comments)
    macros, source = macros_of(if_file_exists(source))
    body = source
    if "\\begin{document}" in source:
        body = source.split("\\begin{document}", 1)[1].rsplit("\\end{document}", 1)[0]
    elif re.search(r"\\bye\b", source):
        body = re.split(r"\\bye\b", source)[0]
    body = re.sub(r"(?<!\\)\\\$", "", expand(body, macros))
    items = re.findall(r"\\bibitem\s*(?:\[[^\]]*\])?\s*\{[^{}]*\}(.*?)(?=\\bibitem|\\end\{thebibliography\}|\Z)", body, flags=re.S)
    body = re.sub(r"\\begin\{thebibliography\}.*?\\end\{thebibliography\}", " ", body, flags=re.S)

    wanted = source_displays(body)
    text = text.replace("\\\\$", "\\\\ $").replace("\\$", "")
    prose = re.sub(r"```.*?```", " ", text, flags=re.S)
    have = collections.Counter(normal(m) for m in re.findall(r"\$\$(.*?)\$\$", prose, flags=re.S))
    missing, found = [], 0
    for equation in wanted:
        key = normal(equation)
        loose = None
        if have[key] == 0 and "@" in key:  # references have become numbers
            pattern = re.compile(re.escape(key).replace("@", r"[\[(]?[\w.,??\[\]@-]*[\])]?"))
            loose = next((k for k, n in have.items() if n and pattern.fullmatch(k)), None)
        key = loose or key
        if have[key] > 0:
            have[key] -= 1
            found += 1
        else:
            missing.append(equation.strip()[:400])

    plain = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", " ", prose, flags=re.S)
    commands = re.findall(r"\\(?:documentclass|documentstyle|usepackage|newcommand|renewcommand|providecommand|def|let|newtheorem|"
                          r"setlength|bibitem|bibliography|bibliographystyle|begin|end|label|DeclareMathOperator|newenvironment|"
                          r"maketitle|section|subsection|cite|ref|input|include|emph|textbf)(?![A-Za-z])[^\n]{0,40}", plain)
    squeeze = lambda s: re.sub(r"\W+", " ", s).strip()
    flat, raw = squeeze(text), squeeze(re.sub(r"\\index\s*\{[^{}]*\}", "", body))
    left = [c for c in comments if len(c.split()) >= 5 and squeeze(c) and len(squeeze(c)) > 25 and squeeze(c) in flat and squeeze(c) not in raw]
    entries = [squeeze(re.sub(r"\\[A-Za-z]+|\\.", " ", e))[:40] for e in items]
    entries = [e for e in entries if len(e) > 20 and e in flat]
    a, b = words(re.sub(r"\\begin\{(?:%s)\*?\}.*?\\end\{.*?\}|\\\[.*?\\\]|\$\$.*?\$\$" % DISPLAYS, " ", body, flags=re.S)), words(plain)
    lost = a - collections.Counter({w: n for w, n in b.items()})
    print(json.dumps({"displays": len(wanted), "found": found, "missing": missing[:8], "words": sum(a.values()),
                      "words_found": sum(a.values()) - sum(lost.values()), "commands": commands[:8], "comments": left[:5],
                      "bibliography": entries[:5]}))
    if "--show" in sys.argv:
        print("words missing:", lost.most_common(40), file=sys.stderr)


if __name__ == "__main__":
    main()
