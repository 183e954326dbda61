#include "policy/flatten.hpp"

#include <cmath>

#include "policy/text.hpp"
#include "vmsec/setting_path.hpp"

namespace vmsec::policy {

namespace {

class Flattener {
 public:
  Flattener(TableLists lists, Sink& sink) : lists_(lists), sink_(sink) {}

  void table(const toml::table& from, const std::string& path) {
    for (const auto& [key, node] : from) {
      if (key.str().find('\0') != std::string_view::npos) {
        sink_.add(place_of(key.source()), "a key has a NUL");
        continue;
      }
      value(node, setting_path::child(path, key.str()), place_of(key.source()));
    }
  }

  Settings take() { return std::move(settings_); }

 private:
  // Dotted keys make tables without a place of their own: then the key's is used.
  void value(const toml::node& node, const std::string& path, Place key) {
    const Place place = node.source().begin.line == 0 ? key : place_of(node.source());
    if (const auto* nested = node.as_table()) return table(*nested, path);
    if (const auto* array = node.as_array()) return list(*array, path, place);
    Setting setting;
    setting.path = path;
    setting.line = place.line;
    setting.column = place.column;
    if (!scalar(node, setting)) return sink_.add(place, printable(path) + ": " + std::string(refusal(node)));
    settings_.settings.push_back(std::move(setting));
  }

  static bool scalar(const toml::node& node, Setting& setting) {
    if (const auto* text = node.as_string()) {
      setting.type = SettingType::text;
      setting.text = text->get();
      return setting.text.find('\0') == std::string::npos;
    }
    if (const auto* integer = node.as_integer()) {
      setting.type = SettingType::integer;
      setting.integer = integer->get();
      return true;
    }
    if (const auto* boolean = node.as_boolean()) {
      setting.type = SettingType::boolean;
      setting.boolean = boolean->get();
      return true;
    }
    if (const auto* real = node.as_floating_point()) {
      setting.type = SettingType::real;
      setting.real = real->get();
      return std::isfinite(setting.real);
    }
    return false;
  }

  static std::string_view refusal(const toml::node& node) {
    if (node.is_string()) return "the text has a NUL";
    if (node.is_floating_point()) return "neither infinity nor nan is a value here";
    return "dates and times are no values here; write them as text";
  }

  void list(const toml::array& array, const std::string& path, Place place) {
    if (!array.empty() && array.get(0)->is_table()) return tables(array, path, place);
    Setting setting;
    setting.path = path;
    setting.type = SettingType::list;
    setting.line = place.line;
    setting.column = place.column;
    for (const toml::node& element : array) {
      if (!(element.is_string() || element.is_integer()) || element.type() != array.get(0)->type()) {
        return sink_.add(place_of(element.source()), printable(path) +
                                                         ": a list holds only texts or only integers, not " +
                                                         std::string(type_name(element)) + " here");
      }
      if (const auto* integer = element.as_integer()) {
        setting.list.push_back(std::to_string(integer->get()));
        continue;
      }
      setting.list.push_back(element.as_string()->get());
      if (setting.list.back().find('\0') != std::string::npos)
        return sink_.add(place_of(element.source()), printable(path) + ": the text has a NUL");
    }
    settings_.settings.push_back(std::move(setting));
  }

  void tables(const toml::array& array, const std::string& path, Place place) {
    if (lists_ == TableLists::refused)
      return sink_.add(place, printable(path) + ": a list of tables has no meaning here");
    std::size_t index = 0;
    for (const toml::node& element : array) {
      const auto* nested = element.as_table();
      if (nested == nullptr) {
        sink_.add(place_of(element.source()),
                  printable(path) + ": a list of tables holds only tables, not " + std::string(type_name(element)));
        continue;
      }
      table(*nested, setting_path::element(path, index++));
    }
  }

  TableLists lists_;
  Sink& sink_;
  Settings settings_;
};

}  // namespace

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a point";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

Settings flatten(const toml::table& table, TableLists lists, Sink& sink) {
  Flattener flattener(lists, sink);
  flattener.table(table, {});
  return flattener.take();
}

void with_toml(std::string_view text, Sink& sink, const std::function<void(const toml::table&)>& use) {
  try {
    if (auto hostile = find_hostile_text(text)) return sink.add({hostile->line, hostile->column}, hostile->message);
    const toml::table root = toml::parse(text);
    use(root);
  } catch (const toml::parse_error& error) {
    sink.add(place_of(error.source()), "not TOML: " + printable(error.description()));
  } catch (const std::exception& error) {
    sink.add({}, std::string("cannot be read: ") + error.what());
  }
}

}  // namespace vmsec::policy
