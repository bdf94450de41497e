// The answers of the API in the form that was asked for.
#ifndef SPILLWAY_CLIENT_OUTPUT_PRINTER_H_
#define SPILLWAY_CLIENT_OUTPUT_PRINTER_H_

#include <google/protobuf/message.h>

#include <ostream>
#include <string>
#include <vector>

#include "spillway/v1/fleet.pb.h"

namespace spillway::client {

enum class Format {
  kTable,  // for people; columns may change
  kWide,   // the same with more of them
  kJson,   // exactly the proto3 JSON of the RPC's answer: for programs
  kYaml,   // the same as YAML
};

// For JSON and YAML `answer` is printed as it is; else the resources in it as a table.
class Printer {
 public:
  Printer(Format format, std::ostream& out) : format_(format), out_(out) {}

  void Pools(const google::protobuf::Message& answer, const std::vector<v1::Pool>& pools);
  void Workers(const google::protobuf::Message& answer, const std::vector<v1::Worker>& workers);
  void Shards(const google::protobuf::Message& answer, const std::vector<v1::Shard>& shards);
  void Audit(const v1::AuditResponse& answer);
  void Operations(const google::protobuf::Message& answer,
                  const std::vector<v1::Operation>& operations);
  void DropRules(const google::protobuf::Message& answer, const std::vector<v1::DropRule>& rules);
  // A line below a table; nothing for programs.
  void Footer(const std::string& line);
  // The newest last. `has_header` false: the entries continue what was printed before.
  void Events(const v1::ListEventsResponse& answer, bool has_header = true);
  void Deaths(const v1::ListDeathsResponse& answer);
  // For JSON and YAML `answer`, else `text`.
  void TextOr(const google::protobuf::Message& answer, const std::string& text);

 private:
  bool is_wide() const { return format_ == Format::kWide; }
  // Prints it if the form is for programs.
  bool PrintMessage(const google::protobuf::Message& answer);

  const Format format_;
  std::ostream& out_;
};

// JSON as block-style YAML; texts are quoted, so that "42" stays one.
std::string YamlOf(const std::string& json);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_OUTPUT_PRINTER_H_
