#pragma once
// Goes through a source as TeX would, as far as a text needs it, and has an article's blocks built.
#include <string>
#include <string_view>
#include <vector>

#include "extract/source_scan.h"
#include "extract/tex_builder.h"
#include "extract/tex_macros.h"
#include "extract/tex_numbers.h"
#include "extract/tex_reader.h"
#include "extract/tex_tables.h"

namespace eddy::extract::tex {

class Interpreter {
 public:
  Interpreter(const Loader& load, std::uint64_t budget) : load_(load), in_(budget) {}
  /// Reads a main file. With `preamble`, only what stands behind \begin{document} is text.
  void run(std::string source, bool preamble);
  bool saw_document() const { return saw_document_; }
  std::uint64_t used() const { return in_.pushed(); }  ///< of the budget
  Article take();

 private:
  struct Group {
    std::string environment{};  ///< empty: a brace group
    std::size_t undo = 0, depth = 0, lists = 0;
    bool is_table = false, breaks = false, is_float = false;
    std::string outer_float{};
  };
  struct List {
    bool enumerated = false;
    int count = 0;
  };
  struct Formula {
    std::string latex{}, label{}, number{};
  };
  enum class Stop { dollar, double_dollar, paren, bracket, environment, end };

  // tex_text.cpp: characters, groups
  void read();
  void plain_run();
  void quote(int c);
  void dashes();
  void mathematics_shift();
  void inline_formula(const Formula& f);
  void open_group(std::string environment);
  void close_group();
  std::string render(std::string_view raw, bool notes = true);

  // tex_commands.cpp
  void control_sequence();
  void expand(const Macro& macro);
  void builtin(std::string_view name, const Command& c);
  /// Reads them and has the texts among them, and `behind`, read next.
  void arguments(std::string_view specification, std::string_view behind = {});
  void unknown();
  void accent(std::string_view combining);
  void heading(std::string_view name, int level);
  void assignment();
  void skip_box_size();
  void csname();
  void character();
  void verb(std::string_view name);
  void item();
  void caption(bool of);
  void footnote();
  void label();

  // tex_special.cpp
  void special(std::string_view name);
  bool reference(std::string_view name);
  std::string reference_text(std::string_view name);
  void plain_command(std::string_view name);
  void algorithm_command(std::string_view name);

  // tex_files.cpp
  void input(std::string_view name);
  void packages();
  void read_style(std::string text);
  void input_verbatim(std::string_view name);
  bool read_file(const std::string& folder, const std::string& name);

  // tex_environments.cpp
  void begin();
  void end();
  void end_environment();
  void begin_text(const std::string& name, const TextEnvironment& e);
  void begin_theorem(const std::string& name, std::string printed, bool numbered);
  void display_environment(const std::string& name, const MathEnvironment& e);
  bool skip_raw(const std::string& name, std::string* content);
  void halign();

  // tex_math.cpp
  Formula formula(Stop stop, const std::string& environment = {}, const MathEnvironment* kind = nullptr);
  std::string text_in_math(std::string_view raw);
  friend class MathReader;

  // tex_definitions.cpp
  void definition(std::string_view name);
  void new_command(std::string_view name);
  void def(std::string_view name);
  void let();
  void new_environment(bool specified);
  void new_theorem(std::string_view name);
  void declare_theorem();
  void math_operator();
  void paired_delimiter();
  void new_if();
  void font();
  void catcode();
  std::string defined_name();
  bool definable(const std::string& name, const std::string& body) const;
  void define(const std::string& name, Macro macro, bool global = false);

  // tex_conditions.cpp
  void condition(std::string_view name);
  bool evaluate(std::string_view name);
  bool is_condition(std::string_view name) const;
  void skip_branch(bool to_else);
  long number();
  std::string token();

  struct Theorem {
    std::string printed{};
    bool numbered = true;
  };

  const Loader& load_;
  Reader in_;
  Macros macros_{};
  Numbers numbers_{};
  Builder out_{};
  std::vector<Group> groups_{};
  std::vector<List> lists_{};
  Names<Theorem> theorems_{};
  std::string title_{}, float_{}, appendix_{};
  std::uint64_t unresolved_ = 0;
  int tables_ = 0, mathematics_ = 0, renders_ = 0, styles_ = 0;
  bool preamble_ = false, saw_document_ = false, finished_ = false, latex_ = false, bibliography_ = false,
       style_ = false;
};

/// Bytes as UTF-8 (others as Latin-1), lines ended by \n, without the characters that stand for references.
std::string to_utf8(std::string_view bytes);

}  // namespace eddy::extract::tex
