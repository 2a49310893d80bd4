#include "base/json.h"

#include <set>
#include <vector>

#include "base/error.h"

namespace eddy {

template <class J>
J parse_json(std::string_view text, const std::string& where) {
  using Event = typename J::parse_event_t;
  std::vector<std::set<std::string>> keys;  // of the objects now open
  const auto watch = [&](int, Event event, J& value) {
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.template get<std::string>()).second)
      fail_input("{}: the key '{}' stands twice in one object", where, value.template get<std::string>());
    return true;
  };
  try {
    return J::parse(text.begin(), text.end(), watch);
  } catch (const typename J::exception& e) {
    fail_input("{}: not valid JSON: {}", where, e.what());
  }
}
template nlohmann::json parse_json<nlohmann::json>(std::string_view, const std::string&);
template nlohmann::ordered_json parse_json<nlohmann::ordered_json>(std::string_view, const std::string&);

}  // namespace eddy
