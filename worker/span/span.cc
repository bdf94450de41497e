#include "worker/span/span.h"

#include <simdjson.h>
#include <xxhash.h>

#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "worker/span/json_text.h"
#include "worker/span/span_fields.h"
#include "worker/span/structure.h"

namespace spillway::span {
namespace {

constexpr size_t kUsualBytes = 64 << 10;
// simdjson needs some twelve times a document's size. What a larger message made it allocate is
// given back, so that one monster does not stay in memory for ever.
constexpr size_t kMaxKeptBytes = 1 << 20;

constexpr absl::string_view kByteOrderMark = "\xef\xbb\xbf";

Rejection NotJson(simdjson::error_code error) {
  const char* message = simdjson::error_message(error);
  switch (error) {
    case simdjson::DEPTH_ERROR:
      return {"too_deep", "",
              absl::StrCat("nested deeper than ", SpanParser::kMaxDepth, " levels")};
    case simdjson::UTF8_ERROR:
      return {"invalid_utf8", "", message};
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC:
      return {"too_large", "", message};
    default:
      return {"not_json", "", message};
  }
}

}  // namespace

struct SpanParser::State {
  simdjson::dom::parser parser;
  std::unique_ptr<char[]> padded;  // the message and simdjson's padding
  size_t capacity = 0;

  State() { CHECK(Reserve(kUsualBytes) == simdjson::SUCCESS, "out of memory"); }

  simdjson::error_code Reserve(size_t bytes) {
    if (bytes <= capacity) return simdjson::SUCCESS;
    padded = std::make_unique<char[]>(bytes + simdjson::SIMDJSON_PADDING);
    capacity = bytes;
    return parser.allocate(bytes, kMaxDepth);
  }

  simdjson::error_code Validate(absl::string_view message) {
    if (const auto error = Reserve(message.size()); error != simdjson::SUCCESS) return error;
    std::memcpy(padded.get(), message.data(), message.size());
    std::memset(padded.get() + message.size(), 0, simdjson::SIMDJSON_PADDING);
    const simdjson::error_code error = Reparse(message.size());
    const bool is_number =
        error == simdjson::NUMBER_ERROR || error == simdjson::NUMBER_OUT_OF_RANGE;
    return is_number && HideNumbers(message) ? Reparse(message.size()) : error;
  }

  simdjson::error_code Reparse(size_t bytes) {
    return parser.parse(reinterpret_cast<const uint8_t*>(padded.get()), bytes, false).error();
  }

  Structure StructureOf(absl::string_view message) const {
    const auto& implementation = *parser.implementation;
    return {message, implementation.structural_indexes.get(), implementation.n_structural_indexes};
  }

  // simdjson refuses numbers that do not fit a double or 64 bits; JSON does not. Blanks in the
  // padded copy each number that the grammar allows (all but a leading 0), so that a second parse
  // judges the rest. False: some number is not one by the grammar either.
  bool HideNumbers(absl::string_view message) {
    const Structure structure = StructureOf(message);
    for (Place place = 0; place < parser.implementation->n_structural_indexes; ++place) {
      const char first = structure.at(place);
      if (first != '-' && !absl::ascii_isdigit(first)) continue;
      const absl::string_view number = structure.Scalar(place);
      if (!IsJsonNumber(number)) return false;
      char* copy = padded.get() + structure.position(place);
      std::memset(copy, ' ', number.size());
      *copy = '0';
    }
    return true;
  }
};

SpanParser::SpanParser() : state_(std::make_unique<State>()) {}
SpanParser::~SpanParser() = default;

std::variant<Span, Rejection> SpanParser::Parse(absl::string_view message) {
  if (message.empty()) return Rejection{"empty", "", "the message has no bytes"};
  // Newer simdjson would skip it; the positions of the edits would be off.
  if (message.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    return Rejection{"not_json", "", "begins with a byte order mark"};
  }
  const simdjson::error_code error = state_->Validate(message);
  std::variant<Span, Rejection> result =
      error == simdjson::SUCCESS ? ReadFields(state_->StructureOf(message)) : NotJson(error);
  if (Span* span = std::get_if<Span>(&result)) {
    span->content_hash = XXH3_64bits(message.data(), message.size());
  }
  if (state_->capacity > kMaxKeptBytes) state_ = std::make_unique<State>();
  return result;
}

}  // namespace spillway::span
