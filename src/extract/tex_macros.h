#pragma once
// A paper's own macros and environments: what they take, what they stand for, and the groups that end definitions.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "extract/tex_reader.h"

namespace eddy::extract::tex {

struct Parameter {
  enum class Kind { mandatory, optional, star, delimited };
  Kind kind = Kind::mandatory;
  std::string text{};  ///< the default of an optional one; the text that ends a delimited one
};

/// Bodies that are longer are no paper's; what would compare or search them again and again does not (bytes).
constexpr std::size_t kLargeBody = 1 << 16;

struct Macro {
  std::vector<Parameter> parameters{};
  std::string before{};  ///< text that must follow the name (\def\a b#1)
  std::string body{};
  std::string alias{};  ///< \let to a command of LaTeX: its name, whatever it is redefined to later
  bool at_letter = false;
};

/// Hash tables that look up string_views.
struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};
template <class V>
using Names = std::unordered_map<std::string, V, Hash, std::equal_to<>>;

class Macros {
 public:
  const Macro* find(std::string_view name) const;
  void define(const std::string& name, Macro macro, bool global = false);
  /// \let: `name` stands for what `other`, a macro, stands for.
  void alias(const std::string& name, std::string_view other);

  struct Environment {
    Macro begin{};
    std::string end{};
  };
  const Environment* environment(std::string_view name) const;
  void define_environment(const std::string& name, Environment e);

  std::size_t group_mark() const { return undo_.size(); }
  void end_group(std::size_t mark);  ///< forgets what was defined since `mark`

 private:
  struct Undo {
    std::string name;
    std::shared_ptr<const Macro> before;  ///< null: it was undefined
  };
  void define(const std::string& name, std::shared_ptr<const Macro> macro, bool global);
  Names<std::shared_ptr<const Macro>> macros_{};  ///< shared: copies of a large one are as cheap as of a small one
  Names<Environment> environments_{};
  std::vector<Undo> undo_{};
};

/// Reads the arguments that `macro` takes. Nothing when the source does not match a delimited macro; what was read is
/// then in `passed`.
std::optional<std::vector<std::string>> arguments_of(const Macro& macro, Reader& in, std::string& passed);
/// The same, and `macro`'s body with them in place; an empty one where that is more than `in` takes.
std::optional<std::string> expansion(const Macro& macro, Reader& in, std::string& passed);

/// The parameters of \newcommand{\x}[count][fallback].
std::vector<Parameter> parameters_of(int count, const std::optional<std::string>& fallback);
/// The parameters of xparse's specification, e.g. "s O{a} m m".
std::vector<Parameter> parameters_of_specification(std::string_view specification);
/// The parameters of \def's parameter text, e.g. "#1=#2;".
std::vector<Parameter> parameters_of_text(std::string_view text, std::string& before);

}  // namespace eddy::extract::tex
