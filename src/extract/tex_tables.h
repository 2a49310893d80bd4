#pragma once
// What the commands and environments of LaTeX, plain TeX and common classes mean for a text.
#include <cstdint>
#include <string>
#include <string_view>

namespace eddy::extract::tex {

enum class Do {
  arguments,  ///< reads what `text` says, keeps the texts in it
  symbol,     ///< `text` stands for it
  accent,     ///< `text` is the combining character
  heading,    ///< `level`
  paragraph,  ///< ends it, then as `arguments`
  line_break,
  // The rest is handled by name in the interpreter.
  definition,
  condition,
  special
};

struct Command {
  Do what = Do::arguments;
  /// For `arguments`, a letter each: * star, o [optional], p (optional), d dropped, t text, b "to 3in" of a box,
  /// = an assignment's number or glue, w a control sequence, n one line end in the text.
  std::string_view text{};
  int level = 0;
  bool fixed = false;  ///< a paper's redefinition is ignored: its look changes, its meaning does not
};
const Command* command(std::string_view name);

/// Display environments; `wrap` is what their rows stand in between the $$ ("" for one formula).
struct MathEnvironment {
  std::string_view wrap{};
  bool numbered = false, rows = false;
  bool argument = false;  ///< it takes one, which goes to the wrapper
};
const MathEnvironment* math_environment(std::string_view name);

enum class Environment {
  text,    ///< its text stands for itself; `arguments` are read
  broken,  ///< the same, a paragraph of its own
  list,
  theorem,  ///< `name` is printed
  proof,
  abstract,
  floating,  ///< `name` is what captions are of
  table,
  verbatim,
  dropped,  ///< not text: pictures, bibliographies, comments
  headed    ///< begins with a heading, `name`
};
struct TextEnvironment {
  Environment what = Environment::text;
  std::string_view arguments{};
  std::string_view name{};
};
const TextEnvironment* text_environment(std::string_view name);

/// Commands in mathematics whose argument is text.
bool is_text_in_math(std::string_view name);

}  // namespace eddy::extract::tex
