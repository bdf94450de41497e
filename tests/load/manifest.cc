#include "tests/load/manifest.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "simdjson.h"
#include "xxhash.h"

namespace spillway::load {
namespace {

// Of the manifest and of the messages that its options make: a new generator, a new version.
constexpr uint64_t kFormatVersion = 2;

constexpr std::array<std::pair<Shape, absl::string_view>, 5> kShapeNames = {{
    {Shape::kRealistic, "realistic"},
    {Shape::kOne, "k1"},
    {Shape::kFive, "k5"},
    {Shape::kTwenty, "k20"},
    {Shape::kSpread, "spread"},
}};

absl::Status WrongKey(absl::string_view key) {
  return absl::InvalidArgumentError(absl::StrCat("manifest: ", key, " is missing or wrong"));
}

// Reads the keys of one object and remembers the first that was missing or wrong.
class KeyReader {
 public:
  explicit KeyReader(simdjson::dom::element root) : root_(root) {}

  template <typename T>
  void Read(const char* key, T& value) {
    T read{};
    if (root_[key].get(read) != simdjson::SUCCESS) {
      if (status_.ok()) status_ = WrongKey(key);
      return;
    }
    value = read;
  }

  const absl::Status& status() const { return status_; }

 private:
  simdjson::dom::element root_;
  absl::Status status_;
};

absl::StatusOr<std::vector<TimeMark>> ParseMarks(simdjson::dom::element root) {
  simdjson::dom::array array;
  if (root["marks"].get(array) != simdjson::SUCCESS) return WrongKey("marks");
  std::vector<TimeMark> marks;
  for (const simdjson::dom::element element : array) {
    TimeMark mark;
    if (element.at(0).get(mark.first_message) != simdjson::SUCCESS ||
        element.at(1).get(mark.timestamp_ms) != simdjson::SUCCESS) {
      return WrongKey("marks");
    }
    marks.push_back(mark);
  }
  return marks;
}

}  // namespace

uint64_t ContentHash(uint64_t hash, absl::string_view message) {
  return XXH3_64bits_withSeed(message.data(), message.size(), hash);
}

absl::StatusOr<Shape> ParseShape(absl::string_view name) {
  for (const auto& [shape, known] : kShapeNames) {
    if (name == known) return shape;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("shape: ", name, " is none of realistic, k1, k5, k20, spread"));
}

absl::string_view ShapeName(Shape shape) {
  for (const auto& [known, name] : kShapeNames) {
    if (known == shape) return name;
  }
  return "?";
}

std::string ManifestJson(const Manifest& manifest) {
  const TrafficOptions& traffic = manifest.traffic;
  std::string json = absl::StrFormat(
      R"({"version":%d,"seed":%d,"spans":%d,"shape":"%s","spans_per_second":%.17g,)"
      R"("spread_seconds":%.17g,"invalid_ratio":%.17g,"duplicate_ratio":%.17g,)"
      R"("rootless_ratio":%.17g,"base_time_ms":%d,"messages_sent":%d,"spans_sent":%d,)"
      R"("duplicates_sent":%d,"invalid_sent":%d,"bytes_sent":%d,"content_hash":%d,"marks":[)",
      kFormatVersion, traffic.seed, traffic.spans, ShapeName(traffic.shape),
      traffic.spans_per_second, traffic.spread_seconds, traffic.invalid_ratio,
      traffic.duplicate_ratio, traffic.rootless_ratio, traffic.base_time_ms, manifest.messages_sent,
      manifest.spans_sent, manifest.duplicates_sent, manifest.invalid_sent, manifest.bytes_sent,
      manifest.content_hash);
  for (size_t i = 0; i < manifest.marks.size(); ++i) {
    absl::StrAppend(&json, i == 0 ? "[" : ",[", manifest.marks[i].first_message, ",",
                    manifest.marks[i].timestamp_ms, "]");
  }
  json += "]}\n";
  return json;
}

absl::StatusOr<Manifest> ParseManifest(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(json).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return absl::InvalidArgumentError("manifest: not a JSON object");
  }
  Manifest manifest;
  TrafficOptions& traffic = manifest.traffic;
  KeyReader keys(root);
  uint64_t version = 0;
  std::string_view shape;
  keys.Read("version", version);
  keys.Read("seed", traffic.seed);
  keys.Read("spans", traffic.spans);
  keys.Read("shape", shape);
  keys.Read("spans_per_second", traffic.spans_per_second);
  keys.Read("spread_seconds", traffic.spread_seconds);
  keys.Read("invalid_ratio", traffic.invalid_ratio);
  keys.Read("duplicate_ratio", traffic.duplicate_ratio);
  keys.Read("rootless_ratio", traffic.rootless_ratio);
  keys.Read("base_time_ms", traffic.base_time_ms);
  keys.Read("messages_sent", manifest.messages_sent);
  keys.Read("spans_sent", manifest.spans_sent);
  keys.Read("duplicates_sent", manifest.duplicates_sent);
  keys.Read("invalid_sent", manifest.invalid_sent);
  keys.Read("bytes_sent", manifest.bytes_sent);
  keys.Read("content_hash", manifest.content_hash);
  RETURN_IF_ERROR(keys.status());
  if (version != kFormatVersion) return WrongKey("version");
  ASSIGN_OR_RETURN(traffic.shape, ParseShape(absl::string_view(shape.data(), shape.size())));
  ASSIGN_OR_RETURN(manifest.marks, ParseMarks(root));
  return manifest;
}

absl::Status WriteManifest(const std::string& path, const Manifest& manifest) {
  const std::string fresh = absl::StrCat(path, ".new");
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << ManifestJson(manifest);
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Manifest> ReadManifest(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::ostringstream text;
  text << file.rdbuf();
  return ParseManifest(text.str());
}

}  // namespace spillway::load
