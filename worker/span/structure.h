// Walks a JSON document that simdjson has validated by the positions of its structural characters:
// braces, brackets, colons, commas, and where strings and scalars begin. simdjson finds them anyway
// and its DOM forgets them; they are what tells where in the message a member stands.
#ifndef SPILLWAY_WORKER_SPAN_STRUCTURE_H_
#define SPILLWAY_WORKER_SPAN_STRUCTURE_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace spillway::span {

// Place in the list of structural positions. 0 is the document's first character.
using Place = uint32_t;

// A view; owns nothing. REQUIRES: `text` is valid JSON and `positions` its structural characters.
class Structure {
 public:
  static constexpr Place kStopped = 0;

  Structure(absl::string_view text, const uint32_t* positions, uint32_t count)
      : text_(text), positions_(positions), count_(count) {}

  uint32_t position(Place place) const { return positions_[place]; }
  char at(Place place) const { return text_[positions_[place]]; }

  // The bytes of the scalar or string at `place`, without white space behind it.
  absl::string_view Scalar(Place place) const {
    const uint32_t begin = positions_[place];
    const size_t end = place + 1 < count_ ? positions_[place + 1] : text_.size();
    return Trimmed(begin, end);
  }

  // The place behind the value that begins at `place`.
  Place After(Place place) const {
    if ((at(place) | 0x20) != '{') return place + 1;
    uint32_t depth = 0;
    do {
      const char c = static_cast<char>(at(place++) | 0x20);  // '[' and ']' become '{' and '}'
      depth += c == '{';
      depth -= c == '}';
    } while (depth > 0);
    return place;
  }

  // Calls visit(raw key without quotes, place of the value) for each member of the object at
  // `place`, in order; visit returns the place behind the value, or kStopped to stop. Returns the
  // place of the closing brace, or kStopped.
  template <typename Visit>
  Place ForEachMember(Place place, Visit visit) const {
    ++place;
    while (at(place) != '}') {
      const absl::string_view key = Trimmed(positions_[place], positions_[place + 1]);
      place = visit(key.substr(1, key.size() - 2), place + 2);
      if (place == kStopped) return kStopped;
      if (at(place) == ',') ++place;
    }
    return place;
  }

 private:
  absl::string_view Trimmed(size_t begin, size_t end) const {
    while (IsSpace(text_[end - 1])) --end;
    return text_.substr(begin, end - begin);
  }
  static bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

  absl::string_view text_;
  const uint32_t* positions_;
  uint32_t count_;
};

}  // namespace spillway::span

#endif  // SPILLWAY_WORKER_SPAN_STRUCTURE_H_
