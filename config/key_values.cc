// What the kinds of fields have in common: reading, printing and describing a value.
#include <algorithm>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "config/keys.h"
#include "config/values.h"

namespace spillway::config {
namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

template <typename T>
bool Within(T value, T min, T max) {
  return value >= min && value <= max;
}

// Reading needs no change; the accessors are written once, for writing.
template <typename Owner>
Owner& Mutable(const Owner& owner) {
  return const_cast<Owner&>(owner);
}

}  // namespace

template <typename Owner>
std::string SetValue(const Key<Owner>& key, absl::string_view text, Owner& owner) {
  const bool ok =
      std::visit(Overloaded{
                     [&](const DurationField<Owner>& field) {
                       const auto value = ParseDuration(text);
                       if (!value || !Within(*value, field.min, field.max)) return false;
                       field.at(owner) = *value;
                       return true;
                     },
                     [&](const SizeField<Owner>& field) {
                       const auto value = ParseSize(text);
                       if (!value || !Within(*value, field.min, field.max)) return false;
                       field.at(owner) = *value;
                       return true;
                     },
                     [&](const CountField<Owner>& field) {
                       const auto value = ParseCount(text);
                       if (!value || !Within(*value, field.min, field.max)) return false;
                       field.set(owner, *value);
                       return true;
                     },
                     [&](const RatioField<Owner>& field) {
                       const auto value = ParseRatio(text);
                       if (!value) return false;
                       field.at(owner) = *value;
                       return true;
                     },
                     [&](const CoresField<Owner>& field) {
                       const auto value = ParseCores(text);
                       if (!value) return false;
                       field.at(owner) = *value;
                       return true;
                     },
                     [&](const FlagField<Owner>& field) {
                       const auto value = ParseFlag(text);
                       if (!value) return false;
                       field.at(owner) = *value;
                       return true;
                     },
                     [&](const TextField<Owner>& field) {
                       if (!field.is_valid(text)) return false;
                       field.at(owner) = std::string(text);
                       return true;
                     },
                     [&](const ChoiceField<Owner>& field) {
                       const std::string choice(text);
                       if (std::count(field.choices.begin(), field.choices.end(), choice) == 0)
                         return false;
                       field.set(owner, choice);
                       return true;
                     },
                     [&](const MapField<Owner>&) { return false; },
                 },
                 key.field);
  return ok ? "" : DescribeType(key);
}

template <typename Owner>
std::string GetValue(const Key<Owner>& key, const Owner& owner) {
  Owner& place = Mutable(owner);
  return std::visit(
      Overloaded{
          [&](const DurationField<Owner>& field) { return PrintDuration(field.at(place)); },
          [&](const SizeField<Owner>& field) { return PrintSize(field.at(place)); },
          [&](const CountField<Owner>& field) { return absl::StrCat(field.get(owner)); },
          [&](const RatioField<Owner>& field) { return PrintRatio(field.at(place)); },
          [&](const CoresField<Owner>& field) { return PrintRatio(field.at(place)); },
          [&](const FlagField<Owner>& field) {
            return std::string(field.at(place) ? "true" : "false");
          },
          [&](const TextField<Owner>& field) { return field.at(place); },
          [&](const ChoiceField<Owner>& field) { return field.get(owner); },
          [&](const MapField<Owner>&) { return std::string(); },
      },
      key.field);
}

template <typename Owner>
std::string DescribeType(const Key<Owner>& key) {
  return std::visit(
      Overloaded{
          [](const DurationField<Owner>& field) {
            return absl::StrCat("a duration such as 500ms, 10s, 5m or 1h, from ",
                                PrintDuration(field.min), " to ", PrintDuration(field.max));
          },
          [](const SizeField<Owner>& field) {
            return absl::StrCat("a size such as 64KiB or 4MiB, from ", PrintSize(field.min), " to ",
                                PrintSize(field.max));
          },
          [](const CountField<Owner>& field) {
            return absl::StrCat("a whole number from ", field.min, " to ", field.max);
          },
          [](const RatioField<Owner>&) { return std::string("a number from 0 to 1"); },
          [](const CoresField<Owner>&) {
            return absl::StrCat("a number of CPU cores such as 1.5, from ", kMinCores, " to ",
                                kMaxCores, ", or 0");
          },
          [](const FlagField<Owner>&) { return std::string("true or false"); },
          [](const TextField<Owner>& field) { return std::string(field.what); },
          [](const ChoiceField<Owner>& field) {
            const char* one_of = field.choices.size() == 1 ? "" : "one of ";
            return absl::StrCat(one_of, absl::StrJoin(field.choices, ", "), field.note);
          },
          [](const MapField<Owner>&) { return std::string("a map of names to values"); },
      },
      key.field);
}

template std::string SetValue(const Key<Config>&, absl::string_view, Config&);
template std::string SetValue(const Key<Pool>&, absl::string_view, Pool&);
template std::string GetValue(const Key<Config>&, const Config&);
template std::string GetValue(const Key<Pool>&, const Pool&);
template std::string DescribeType(const Key<Config>&);
template std::string DescribeType(const Key<Pool>&);

}  // namespace spillway::config
