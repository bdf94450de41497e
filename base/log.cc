#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <charconv>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"

namespace spillway {
namespace {

struct LevelName {
  const char* json;
  const char* text;  // padded, so that events line up
};

LevelName NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return {"debug", "debug"};
    case LogLevel::kInfo:
      return {"info", "info "};
    case LogLevel::kWarning:
      return {"warning", "warn "};
    case LogLevel::kError:
      return {"error", "error"};
  }
  return {"error", "error"};
}

// The time stands in spdlog's pattern, the rest of the line in its message.
constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %v";
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})";

// What every thread logs through. Never destroyed: threads may log until the process ends.
struct Output {
  Output() : logger("spillway", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger.set_level(spdlog::level::trace);  // `level` decides
    SetPattern(kTextPattern);
  }
  void SetPattern(const char* pattern) {
    logger.set_formatter(
        std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, "\n"));
  }

  spdlog::logger logger;
  std::atomic<LogFormat> format{LogFormat::kText};
  std::atomic<LogLevel> level{LogLevel::kInfo};
};

Output& TheOutput() {
  static Output* const output = new Output;
  return *output;
}

bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7f; }

// Length of the well-formed UTF-8 sequence at the start of `text`; 0 if there is none.
size_t Utf8Length(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) > 0x9f;
  const bool too_large = lead == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || too_large ? 0 : length;
}

void AppendJsonString(absl::string_view text, std::string* out) {
  out->push_back('"');
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    const size_t length = Utf8Length(text);
    if (length == 0) {
      out->append("\\ufffd");
    } else if (c == '"' || c == '\\') {
      out->append({'\\', static_cast<char>(c)});
    } else if (c == '\n') {
      out->append("\\n");
    } else if (IsControl(c)) {
      absl::StrAppendFormat(out, "\\u%04x", c);
    } else {
      out->append(text.data(), length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out->push_back('"');
}

// Control characters would break "one line per event" or a terminal: they are escaped.
void AppendEscaped(absl::string_view text, std::string* out) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out->append("\\n");
    } else if (IsControl(byte)) {
      absl::StrAppendFormat(out, "\\x%02x", byte);
    } else {
      if (c == '"' || c == '\\') out->push_back('\\');
      out->push_back(c);
    }
  }
}

bool NeedsQuotes(absl::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (c == ' ' || c == '"' || c == '=' || IsControl(static_cast<unsigned char>(c))) return true;
  }
  return false;
}

std::string TextMessage(LogLevel level, absl::string_view event,
                        std::initializer_list<LogField> fields) {
  std::string line = NameOf(level).text;
  line.push_back(' ');
  AppendEscaped(event, &line);
  for (const LogField& field : fields) {
    line.push_back(' ');
    line.append(field.key().data(), field.key().size());
    line.push_back('=');
    if (NeedsQuotes(field.value())) {
      line.push_back('"');
      AppendEscaped(field.value(), &line);
      line.push_back('"');
    } else {
      line.append(field.value().data(), field.value().size());
    }
  }
  return line;
}

std::string JsonMessage(LogLevel level, absl::string_view event,
                        std::initializer_list<LogField> fields) {
  std::string line = absl::StrFormat(R"("level":"%s","event":)", NameOf(level).json);
  AppendJsonString(event, &line);
  for (const LogField& field : fields) {
    line.push_back(',');
    AppendJsonString(field.key(), &line);
    line.push_back(':');
    if (field.is_number()) {
      line.append(field.value().data(), field.value().size());
    } else {
      AppendJsonString(field.value(), &line);
    }
  }
  return line;
}

std::string ShortestText(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

}  // namespace

LogField::LogField(absl::string_view key, absl::string_view value) : key_(key), value_(value) {}
LogField::LogField(absl::string_view key, const absl::Status& value)
    : key_(key), value_(value.ToString()) {}
LogField::LogField(absl::string_view key, bool value)
    : key_(key), value_(value ? "true" : "false"), is_number_(true) {}
LogField::LogField(absl::string_view key, double value)
    : key_(key), value_(ShortestText(value)), is_number_(std::isfinite(value)) {}

void ConfigureLog(LogFormat format, LogLevel level) {
  Output& output = TheOutput();
  output.SetPattern(format == LogFormat::kJson ? kJsonPattern : kTextPattern);
  output.format = format;
  output.level = level;
}

bool LogEnabled(LogLevel level) { return level >= TheOutput().level; }

void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields) {
  if (!LogEnabled(level)) return;
  Output& output = TheOutput();
  const std::string message = output.format == LogFormat::kJson ? JsonMessage(level, event, fields)
                                                                : TextMessage(level, event, fields);
  output.logger.log(spdlog::level::info, spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace spillway
