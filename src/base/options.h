#pragma once
// Options of a program: one declaration gives an option its help, type, default and range; values come from the command
// line (--section.key=value or --key value) and from an INI file given by --config (the command line wins).
// Built on Boost.Program_options.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace eddy {

/// What may be said of one option beyond its type and default.
struct OptionRule {
  double min = -1e300, max = 1e300;    ///< for numbers, both ends allowed
  std::vector<std::string> choices{};  ///< for strings: the values allowed (empty: any)
  bool required = false;               ///< must be given
  bool command_line_only = false;      ///< not in INI files, not written to config.ini (e.g. check)
};

class Options {
 public:
  /// `usage` is the line after the program's name; `summary` one sentence on what it does.
  Options(std::string program, std::string usage, std::string summary);
  ~Options();
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  using Rule = OptionRule;
  // Binds a key ("optim.lr", "json") to a variable whose present value is the default. `help` states the unit.
  void add(const std::string& key, bool* target, const std::string& help, Rule rule = {});  ///< --key, --key=true|false
  void add(const std::string& key, int* target, const std::string& help, Rule rule = {});
  void add(const std::string& key, std::int64_t* target, const std::string& help, Rule rule = {});
  void add(const std::string& key, std::uint64_t* target, const std::string& help, Rule rule = {});
  void add(const std::string& key, double* target, const std::string& help, Rule rule = {});
  void add(const std::string& key, std::string* target, const std::string& help, Rule rule = {});
  void add(const std::string& key, std::vector<std::string>* target, const std::string& help,
           Rule rule = {});  ///< one or more values
  /// Arguments without a key go to this one (declared with add before).
  void positional(const std::string& key);

  /// Parses. Prints --help or --version on stdout and returns false: the program then ends with status 0.
  /// Throws Error (status 2) for an unknown key (naming the file, the key and the nearest known one), a wrong type, a
  /// value out of range, a missing required option or an unreadable file.
  bool parse(int argc, const char* const* argv);
  bool parse(const std::vector<std::string>& arguments);  ///< without the program's name

  bool given(const std::string& key) const;  ///< said on the command line or in the file (not a default)
  std::string ini() const;                   ///< every option as resolved, as an INI file that `--config` reads again
  std::string help() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The candidate nearest to `word` by edit distance, or "" when none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace eddy
