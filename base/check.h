// CHECK(condition, "why it must hold"): ends the process when something that cannot happen has
// happened. For broken invariants of our own only; bad input is an absl::Status.
#ifndef SPILLWAY_BASE_CHECK_H_
#define SPILLWAY_BASE_CHECK_H_

namespace spillway::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, const char* why);
}  // namespace spillway::internal

#define CHECK(condition, why)                                                 \
  do {                                                                        \
    if (!(condition)) [[unlikely]] {                                          \
      ::spillway::internal::CheckFailed(__FILE__, __LINE__, #condition, why); \
    }                                                                         \
  } while (false)

#endif  // SPILLWAY_BASE_CHECK_H_
