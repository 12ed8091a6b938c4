#include "data/strict_json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/error.h"

namespace tapestry {
namespace {

std::string shortened(std::string text, size_t most) {
  if (text.size() > most) text = text.substr(0, most) + "...";
  return text;
}

}  // namespace

std::string json_message(const std::exception& error) {
  const std::string message = error.what();
  const size_t identifier = message.find("] ");
  return shortened(identifier == std::string::npos ? message : message.substr(identifier + 2), 200);
}

std::ostream& operator<<(std::ostream& out, const Shown& shown) {
  const nlohmann::json value = shortened(std::string(shown.text.substr(0, 101)), 100);
  const std::string escaped = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return out << "'" << std::string_view(escaped).substr(1, escaped.size() - 2) << "'";
}

nlohmann::json parse_strict_json(std::string_view text, const std::string& where, int max_depth) {
  using Json = nlohmann::json;
  check(!text.starts_with("\xEF\xBB\xBF"), Exit::input, where,
        ": starts with a byte order mark; save it as UTF-8 without one");
  std::vector<std::set<std::string>> open;  // keys so far of the objects that are open
  const auto on_event = [&](int depth, Json::parse_event_t event, Json& value) {
    const bool object = event == Json::parse_event_t::object_start;
    if (object || event == Json::parse_event_t::array_start) {
      check(depth < max_depth, Exit::input, where, ": nested deeper than ", max_depth, " levels");
    }
    if (object) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      check(open.back().insert(key).second, Exit::input, where, ": the key ", shown(key), " is there twice");
    }
    return true;
  };
  try {
    return Json::parse(text, on_event);
  } catch (const Json::exception& error) {
    fail(Exit::input, where, ": ", json_message(error));
  }
}

nlohmann::json parse_strict_object(std::string_view text, const std::string& where) {
  nlohmann::json json = parse_strict_json(text, where);
  check(json.is_object(), Exit::input, where, ": expected an object");
  return json;
}

}  // namespace tapestry
