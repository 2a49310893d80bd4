#include "base/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "base/ini.h"
#include "base/option.h"

namespace po = boost::program_options;

namespace eddy {
namespace {
using List = std::vector<std::string>;

constexpr const char* kNothing = "\x1f";
#ifdef __clang__
constexpr const char* kCompiler = "clang++";
#else
constexpr const char* kCompiler = "g++";
#endif

std::string section_of(const std::string& key) {
  const auto dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (!in || std::filesystem::is_directory(path)) fail_input("--config {}: cannot be read; does the file exist?", path);
  return text.assign(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

struct Options::Impl {
  std::string program, usage, summary;
  std::vector<Option> options;  // in the order they were declared
  List positional, config;
  bool help_asked = false, version_asked = false;
  std::set<std::string> given;

  void declare(Option o) {
    if (find(o.key)) throw std::logic_error("option " + o.key + " is declared twice");
    o.preset = to_text(o);
    options.push_back(std::move(o));
  }
  const Option* find(const std::string& key) const {
    for (const auto& o : options)
      if (o.key == key) return &o;
    return nullptr;
  }
  std::string unknown(const std::string& key) const {
    List keys;
    for (const auto& o : options) keys.push_back(o.key);
    const std::string near = nearest(key, keys);
    return fmt::format("unknown option '{}'{} (--help lists all)", key,
                       near.empty() ? "" : fmt::format("; the nearest known one is '{}'", near));
  }
  /// Sets one option from the values said for it in one place.
  void set(const Option& o, const List& values, const std::string& where) {
    given.insert(o.key);
    if (o.list()) std::get<List*>(o.target)->clear();
    if (o.list() && values.size() == 1 && values[0].empty()) return;  // `key =`: an empty list
    for (const auto& v : values)
      if (!set_from_text(o, v)) fail_input("{}: {} = '{}' is not allowed; allowed: {}", where, o.key, v, allowed(o));
  }
  void read_file(const std::string& path);
  std::map<std::string, List> read_command_line(List arguments) const;
  List sections() const {
    List names{""};
    for (const auto& o : options)
      if (std::find(names.begin(), names.end(), section_of(o.key)) == names.end()) names.push_back(section_of(o.key));
    return names;
  }
};

void Options::Impl::read_file(const std::string& path) {
  std::map<std::string, int> seen;
  std::map<std::string, List> lists;
  for (const auto& [key, value, line] : parse_ini(file_text(path), path)) {
    const std::string where = fmt::format("{}, line {}", path, line);
    const Option* o = find(key);
    if (!o) fail_input("{}: {}", where, unknown(key));
    if (o->rule.command_line_only) fail_input("{}: '{}' may only be given on the command line", where, key);
    const auto [first, fresh] = seen.emplace(key, line);
    if (!fresh && !o->list())
      fail_input("{}: '{}' was already given in line {}; keep one of them", where, key, first->second);
    auto& values = lists[key];  // a list takes one line for each of its values
    values.push_back(value);
    set(*o, values, where);
  }
}

std::map<std::string, List> Options::Impl::read_command_line(List arguments) const {
  std::map<std::string, List> values;
  // Boost refuses `--key=`, by which an option is emptied: it gets a control character to read.
  for (auto& a : arguments)
    if (a.starts_with("--") && a.find('=') == a.size() - 1) a += kNothing;
  po::options_description description;
  for (const auto& o : options) {
    auto* value = po::value<std::string>();
    if (std::holds_alternative<bool*>(
            o.target))  // by itself a flag is true; Boost would take the next word for its value
      std::replace(arguments.begin(), arguments.end(), "--" + o.key, "--" + o.key + "=true");
    if (o.list() && o.key != "config") value->multitoken();
    description.add_options()(o.key.c_str(), value);
  }
  namespace style = po::command_line_style;  // no short options: `--optim.lr -1` is a value
  std::vector<po::option> parsed;
  try {
    parsed = po::command_line_parser(arguments)
                 .options(description)
                 .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                 .allow_unregistered()
                 .run()
                 .options;
  } catch (const po::error& e) {
    fail_input("command line: {}", e.what());
  }
  for (const auto& p : parsed) {
    if (p.unregistered) fail_input("command line: {}", unknown(p.string_key));
    // Boost takes the next option for the value of one that has none.
    for (std::size_t i = 1; i < p.original_tokens.size(); ++i)
      if (p.original_tokens[i].starts_with("--"))
        fail_input("command line: '{}' has no value before {}; a value that begins with -- is written --{}=VALUE",
                   p.string_key, p.original_tokens[i], p.string_key);
  }
  std::size_t place = 0;
  for (const auto& p : parsed) {
    std::string key = p.string_key;
    if (key.empty()) {
      const std::string& word = p.value.at(0);
      if (place == positional.size() || (word.size() > 1 && word.front() == '-'))
        fail_input("command line: unexpected argument '{}' (options are written --key=value; --help lists them)", word);
      key = positional[place];
      if (!find(key)->list()) ++place;
    }
    auto& said = values[key];
    // As usual in shells the last one counts; a list grows, until it is emptied.
    if (!find(key)->list() || p.value.at(0) == kNothing || said == List{""}) said.clear();
    for (const auto& word : p.value) said.push_back(word == kNothing ? "" : word);
  }
  return values;
}

Options::Options(std::string program, std::string usage, std::string summary) : impl_(std::make_unique<Impl>()) {
  impl_->program = std::move(program);
  impl_->usage = std::move(usage);
  impl_->summary = std::move(summary);
  add("help", &impl_->help_asked, "print this help and end", {.command_line_only = true});
  add("version", &impl_->version_asked, "print the version and end", {.command_line_only = true});
  add("config", &impl_->config, "INI file with options ([section], key = value); the command line wins",
      {.command_line_only = true});
}
Options::~Options() = default;

void Options::add(const std::string& k, bool* t, const std::string& h, Rule r) {
  impl_->declare({k, h, "", t, r});
}
void Options::add(const std::string& k, int* t, const std::string& h, Rule r) {
  impl_->declare({k, h, "", t, r});
}
void Options::add(const std::string& k, std::int64_t* t, const std::string& h, Rule r) {
  impl_->declare({k, h, "", t, r});
}
void Options::add(const std::string& k, std::uint64_t* t, const std::string& h, Rule r) {
  impl_->declare({k, h, "", t, r});
}
void Options::add(const std::string& k, double* t, const std::string& h, Rule r) {
  impl_->declare({k, h, "", t, r});
}
void Options::add(const std::string& k, std::string* t, const std::string& h, Rule r) {
  impl_->declare({k, h, "", t, r});
}
void Options::add(const std::string& k, List* t, const std::string& h, Rule r) {
  impl_->declare({k, h, "", t, r});
}

void Options::positional(const std::string& key) {
  if (!impl_->find(key)) throw std::logic_error("positional option " + key + " is not declared");
  impl_->positional.push_back(key);
}

bool Options::parse(int argc, const char* const* argv) {
  return parse(List(argv + std::min(argc, 1), argv + argc));
}

bool Options::parse(const List& arguments) {
  const auto said = impl_->read_command_line(arguments);
  const bool help_asked = said.count("help") > 0;
  if (help_asked || said.count("version") > 0) {
    const std::string version =
        fmt::format("{} {}\ncompiled by {} {}\n", impl_->program, EDDY_VERSION, kCompiler, __VERSION__);
    std::fputs((help_asked ? help() : version).c_str(), stdout);
    return false;
  }
  if (const auto files = said.find("config"); files != said.end())
    for (const auto& path : files->second) impl_->read_file(path);
  for (const auto& [key, values] : said) impl_->set(*impl_->find(key), values, "command line");
  for (const auto& o : impl_->options)
    if (o.rule.required && !given(o.key)) fail_input("--{} must be given ({})", o.key, o.help);
  return true;
}

bool Options::given(const std::string& key) const {
  return impl_->given.count(key) > 0;
}

std::string Options::ini() const {
  std::string text;
  for (const auto& section : impl_->sections()) {
    if (!section.empty()) text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    for (const auto& o : impl_->options) {
      if (section_of(o.key) != section || o.rule.command_line_only) continue;
      const std::string name = o.key.substr(section.empty() ? 0 : section.size() + 1);
      List values{to_text(o)};
      if (o.list() && !values[0].empty()) values = *std::get<List*>(o.target);
      for (const auto& v : values) text += fmt::format("{} = {}\n", name, ini_value(v));
    }
  }
  return text;
}

std::string Options::help() const {
  std::string text = fmt::format("usage: {} {}\n{}\n", impl_->program, impl_->usage, impl_->summary);
  for (const auto& section : impl_->sections()) {
    text += section.empty() ? "\noptions\n" : fmt::format("\n[{}]\n", section);
    for (const auto& o : impl_->options) {
      if (section_of(o.key) != section) continue;
      std::string facts = allowed(o);
      if (o.rule.required)
        facts += "; required";
      else if (!o.preset.empty())
        facts += "; default " + o.preset;
      text += fmt::format("  --{}\n      {} ({})\n", o.key, o.help, facts);
    }
  }
  return text + "\nIn an INI file, --section.key=value is written as key = value below [section].\n";
}

}  // namespace eddy
