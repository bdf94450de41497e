#include "proto/wire/json.h"

#include <google/protobuf/util/json_util.h>

#include "base/check.h"

namespace spillway::wire {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  CHECK(status.ok(), "only a broken Any or timestamp cannot be printed, and we send none");
  return json;
}

}  // namespace spillway::wire
