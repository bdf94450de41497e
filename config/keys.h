// The table of configuration keys: the one place that knows which keys there are, how each is read,
// printed and described. Loading, printing and the reference are loops over it.
#ifndef SPILLWAY_CONFIG_KEYS_H_
#define SPILLWAY_CONFIG_KEYS_H_

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/config.h"

namespace spillway::config {

// Where a value of type T lives in an Owner (Config or Pool).
template <typename Owner, typename T>
using At = T& (*)(Owner&);

template <typename Owner>
struct DurationField {
  At<Owner, Milliseconds> at;
  Milliseconds min, max;
};
template <typename Owner>
struct SizeField {
  At<Owner, uint64_t> at;
  uint64_t min = 0, max = 0;
};
template <typename Owner>
struct CountField {
  std::function<int64_t(const Owner&)> get;
  std::function<void(Owner&, int64_t)> set;
  int64_t min = 0, max = 0;
};
template <typename Owner>
struct RatioField {
  At<Owner, double> at;
};
template <typename Owner>
struct CoresField {  // of CPU; 0 is no limit
  At<Owner, double> at;
};
template <typename Owner>
struct FlagField {
  At<Owner, bool> at;
};
template <typename Owner>
struct TextField {
  At<Owner, std::string> at;
  const char* what;  // "a topic name"
  bool (*is_valid)(absl::string_view text);
};
template <typename Owner>
struct ChoiceField {
  std::function<std::string(const Owner&)> get;
  std::function<void(Owner&, const std::string&)> set;
  std::vector<std::string> choices;
  const char* note = "";  // said after the choices
};
template <typename Owner>
struct MapField {  // free keys below this one
  At<Owner, std::map<std::string, std::string>> at;
};

template <typename Owner>
using Field = std::variant<DurationField<Owner>, SizeField<Owner>, CountField<Owner>,
                           RatioField<Owner>, CoresField<Owner>, FlagField<Owner>, TextField<Owner>,
                           ChoiceField<Owner>, MapField<Owner>>;

template <typename Owner>
struct Key {
  std::string path;  // "flush.lease"; a pool's are relative to the pool
  Field<Owner> field;
  std::string doc;           // what it means, one or more sentences
  std::string default_text;  // if the default is not a plain value; else empty
};

// In the order in which they are printed: the keys of a section stand together.
const std::vector<Key<Config>>& Keys();
const std::vector<Key<Pool>>& PoolKeys();

// Puts the value into its place, or returns what would have been right ("a duration, 1s … 1h").
// Not for maps.
template <typename Owner>
std::string SetValue(const Key<Owner>& key, absl::string_view text, Owner& owner);
// What SetValue reads back. Not for maps.
template <typename Owner>
std::string GetValue(const Key<Owner>& key, const Owner& owner);
// "duration, 1s … 1h"
template <typename Owner>
std::string DescribeType(const Key<Owner>& key);
// Whether the value is words that YAML must quote to keep.
template <typename Owner>
bool IsText(const Key<Owner>& key) {
  return std::holds_alternative<TextField<Owner>>(key.field);
}
template <typename Owner>
const MapField<Owner>* AsMap(const Key<Owner>& key) {
  return std::get_if<MapField<Owner>>(&key.field);
}

}  // namespace spillway::config

#endif  // SPILLWAY_CONFIG_KEYS_H_
