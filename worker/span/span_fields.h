// The rules for one span (design section 5, rules 1, 2, 7, 8 and 11), applied to a valid document.
#ifndef SPILLWAY_WORKER_SPAN_SPAN_FIELDS_H_
#define SPILLWAY_WORKER_SPAN_SPAN_FIELDS_H_

#include <variant>

#include "worker/span/span.h"
#include "worker/span/structure.h"

namespace spillway::span {

// Everything but content_hash. Reasons: not_object, missing_field, wrong_type, out_of_range,
// invalid_id.
std::variant<Span, Rejection> ReadFields(const Structure& structure);

}  // namespace spillway::span

#endif  // SPILLWAY_WORKER_SPAN_SPAN_FIELDS_H_
