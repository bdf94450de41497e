// One line per event: time, level, event, then key=value (or one JSON object). Goes to stderr.
//   Log(LogLevel::kInfo, "shard taken", {{"shard", 7}, {"epoch", 12}});
// Thread-safe. Before ConfigureLog: text, level info.
#ifndef SPILLWAY_BASE_LOG_H_
#define SPILLWAY_BASE_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace spillway {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// One key of the vocabulary (docs/design.md, section 2) with its value.
class LogField {
 public:
  LogField(absl::string_view key, absl::string_view value);
  LogField(absl::string_view key, const char* value) : LogField(key, absl::string_view(value)) {}
  LogField(absl::string_view key, const std::string& value)
      : LogField(key, absl::string_view(value)) {}
  LogField(absl::string_view key, const absl::Status& value);
  LogField(absl::string_view key, bool value);
  LogField(absl::string_view key, double value);
  template <typename Integer>
  requires std::is_integral_v<Integer> LogField(absl::string_view key, Integer value)
      : key_(key), value_(std::to_string(value)), is_number_(true) {}

  absl::string_view key() const { return key_; }
  absl::string_view value() const { return value_; }
  bool is_number() const { return is_number_; }  // numbers and booleans: bare in JSON

 private:
  absl::string_view key_;
  std::string value_;
  bool is_number_ = false;
};

void ConfigureLog(LogFormat format, LogLevel level);
bool LogEnabled(LogLevel level);
void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace spillway

#endif  // SPILLWAY_BASE_LOG_H_
