#pragma once
// LaTeX sources looked at from outside: whether a file is a document, which files it draws in.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace eddy::extract {

/// Removes comments (with the line end and the indentation that TeX swallows after them) and `comment` environments.
/// A per cent sign in \verb, verbatim, Verbatim, lstlisting and minted is text.
std::string strip_comments(std::string_view source);

/// True when the source has its own \begin{document}.
bool has_document(std::string_view source);

/// Between \begin{document} and \end{document}; without them, everything up to plain TeX's \bye or \end.
/// `source` without comments.
std::string_view document_body(std::string_view source);

/// True when at least one in five lines starts a definition: a file of macros, not of text.
bool is_macro_file(std::string_view source);

/// Names in \input{x}, \input x, \include{x}, \subfile{x} of a source without comments, in order. A name that a macro
/// builds is left out.
std::vector<std::string> input_names(std::string_view source);

/// The content of an input file, or nothing when it is not to be had.
using Loader = std::function<std::optional<std::string>(const std::string& name)>;

}  // namespace eddy::extract
