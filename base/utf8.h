// Text of unknown origin that is to become a message or a column.
#ifndef SPILLWAY_BASE_UTF8_H_
#define SPILLWAY_BASE_UTF8_H_

#include <string>

namespace spillway {

// `text` as valid UTF-8: every byte that is no part of a character becomes '?'.
std::string ValidUtf8(std::string text);

}  // namespace spillway

#endif  // SPILLWAY_BASE_UTF8_H_
