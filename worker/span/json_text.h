// Small pieces of JSON text that simdjson does not offer for bytes in place. Pure.
#ifndef SPILLWAY_WORKER_SPAN_JSON_TEXT_H_
#define SPILLWAY_WORKER_SPAN_JSON_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace spillway::span {

// What the inside of a JSON string (without its quotes) means; replaces `text`.
// REQUIRES: `raw` is the inside of a string that simdjson has accepted.
void Unescape(absl::string_view raw, std::string& text);

// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters are
// escaped, everything else (UTF-8 included) stays.
void AppendEscaped(absl::string_view text, std::string& out);

// Whether `text`, whole, is a number by the JSON grammar, whatever its size or precision.
bool IsJsonNumber(absl::string_view text);

}  // namespace spillway::span

#endif  // SPILLWAY_WORKER_SPAN_JSON_TEXT_H_
