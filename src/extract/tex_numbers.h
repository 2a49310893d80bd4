#pragma once
// Numbers of sections, equations, theorems, figures, citations, as LaTeX's counters give them, and references to them.
#include <string>
#include <string_view>
#include <vector>

#include "extract/tex_macros.h"

namespace eddy::extract::tex {

class Numbers {
 public:
  Numbers();
  /// A counter; with `within`, it starts anew with each step of that and carries its number ("2.1").
  void define(const std::string& counter, const std::string& within);
  /// `counter` counts together with `other`.
  void share(const std::string& counter, const std::string& other);
  /// Adds one; the number as printed. `kind` is what \cref calls it.
  std::string step(const std::string& counter, const std::string& kind);
  int value(const std::string& counter_name) { return counter(counter_name).value; }
  void step_back(const std::string& counter);
  void letters(const std::string& counter);  ///< \appendix: A, B, …
  void use_chapters();                       ///< sections, equations and figures count within chapters

  /// What \label here refers to.
  void set_current(std::string number, std::string kind);
  const std::string& current() const { return current_.number; }
  void label(const std::string& name) { labels_[name] = current_; }

  /// Stands for a reference until `resolve`: labels may come later. `how`: r number, e (number), c kind and number.
  static std::string reference(char how, std::string_view label);
  void resolve(std::string& text) const;
  /// The number of a citation's key, by first use.
  std::string citation(const std::string& key);

 private:
  struct Counter {
    int value = 0;
    bool letters = false;
    std::string within{};
    std::string shared{};
    std::vector<std::string> inner{};
  };
  struct Target {
    std::string number{}, kind{};
  };
  Counter& counter(const std::string& name);
  void resolve_once(std::string& text) const;
  void reset_inner(const Counter& c, int depth);
  std::string print(const Counter& c, int depth) const;

  Names<Counter> counters_{};
  Names<Target> labels_{};
  Names<int> citations_{};
  Target current_{};
};

}  // namespace eddy::extract::tex
