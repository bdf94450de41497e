// Messages as the JSON that the command line and the HTTP API print.
#ifndef SPILLWAY_PROTO_WIRE_JSON_H_
#define SPILLWAY_PROTO_WIRE_JSON_H_

#include <google/protobuf/message.h>

#include <string>

namespace spillway::wire {

// proto3 JSON with every field present that has a value by default (numbers, texts, lists, enums),
// so that a reader need not know defaults; messages that are not set are left out. Indented.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_JSON_H_
