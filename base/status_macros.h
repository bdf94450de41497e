// Early return on an error, as this abseil has none of its own.
#ifndef SPILLWAY_BASE_STATUS_MACROS_H_
#define SPILLWAY_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SPILLWAY_CONCAT_INNER(a, b) a##b
#define SPILLWAY_CONCAT(a, b) SPILLWAY_CONCAT_INNER(a, b)

// Returns the status of `expression` from the calling function unless it is OK.
#define RETURN_IF_ERROR(expression)                                                   \
  do {                                                                                \
    if (absl::Status status_macro_result = (expression); !status_macro_result.ok()) { \
      return status_macro_result;                                                     \
    }                                                                                 \
  } while (false)

// ASSIGN_OR_RETURN(auto value, StatusOrExpression()): the value, or return with its status.
#define ASSIGN_OR_RETURN(declaration, expression) \
  SPILLWAY_ASSIGN_OR_RETURN(SPILLWAY_CONCAT(status_or_, __LINE__), declaration, expression)
#define SPILLWAY_ASSIGN_OR_RETURN(result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result.ok()) return std::move(result).status();             \
  declaration = *std::move(result)

#endif  // SPILLWAY_BASE_STATUS_MACROS_H_
