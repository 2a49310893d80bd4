#include "base/json.h"

#include <set>
#include <vector>

#include "base/error.h"

namespace eddy {
namespace {

/// Refuses a key that stands twice in one object, and what is nested too deep. A pass of its own: the library's parser
/// with a callback looks through an object's entries again after each of its values, which takes minutes where there
/// are tens of thousands.
template <class J>
class KeyWatch final : public nlohmann::json_sax<J> {
 public:
  explicit KeyWatch(const std::string& where) : where_(where) {}
  bool start_object(std::size_t) override {
    deeper();
    keys_.emplace_back();
    return true;
  }
  bool end_object() override {
    --depth_;
    keys_.pop_back();
    return true;
  }
  bool key(typename J::string_t& name) override {
    if (!keys_.back().insert(name).second) fail_input("{}: the key '{}' stands twice in one object", where_, name);
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(typename J::number_integer_t) override { return true; }
  bool number_unsigned(typename J::number_unsigned_t) override { return true; }
  bool number_float(typename J::number_float_t, const typename J::string_t&) override { return true; }
  bool string(typename J::string_t&) override { return true; }
  bool binary(typename J::binary_t&) override { return true; }
  bool start_array(std::size_t) override {
    deeper();
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  void deeper() {
    if (++depth_ > kDeepestJson) fail_input("{}: its JSON is nested deeper than {} levels", where_, kDeepestJson);
  }
  const std::string& where_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of the objects now open
};

}  // namespace

/// "[json.exception.parse_error.101] parse error at line 1, column 7: syntax error while parsing value - unexpected end
/// of input; expected …" without the library's name of it.
std::string json_reason(const nlohmann::detail::exception& e) {
  std::string text = e.what();
  if (const auto end = text.find("] "); text.starts_with('[') && end != std::string::npos) text.erase(0, end + 2);
  constexpr std::string_view kError = "parse error ";
  if (text.starts_with(kError)) text.erase(0, kError.size());
  return text;
}

template <class J>
J parse_json(std::string_view text, const std::string& where) {
  try {
    KeyWatch<J> watch(where);
    J::sax_parse(text.begin(), text.end(), &watch);
    return J::parse(text.begin(), text.end());
  } catch (const typename J::exception& e) {
    if (text.empty())
      fail_input("{}: not valid JSON: it is empty; mend it, or take it from where it came again", where);
    fail_input("{}: not valid JSON {}; mend it, or take it from where it came again", where, json_reason(e));
  }
}
template nlohmann::json parse_json<nlohmann::json>(std::string_view, const std::string&);
template nlohmann::ordered_json parse_json<nlohmann::ordered_json>(std::string_view, const std::string&);

}  // namespace eddy
