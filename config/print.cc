// Configuration as text: YAML for programs, Markdown for people.
#include <yaml-cpp/yaml.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "config/keys.h"
#include "config/load.h"
#include "config/worker_settings.h"

namespace spillway::config {
namespace {

// Emits keys given by dotted paths as nested maps; keys of a section must come together.
class NestedMaps {
 public:
  explicit NestedMaps(YAML::Emitter& out) : out_(out) { out_ << YAML::BeginMap; }
  void Key(const std::string& path) {
    std::vector<std::string> parts = absl::StrSplit(path, '.');
    const std::string name = parts.back();
    parts.pop_back();
    size_t common = 0;
    while (common < parts.size() && common < open_.size() && parts[common] == open_[common]) {
      ++common;
    }
    for (; open_.size() > common; open_.pop_back()) out_ << YAML::EndMap;
    for (; open_.size() < parts.size(); open_.push_back(parts[open_.size()])) {
      out_ << YAML::Key << parts[open_.size()] << YAML::Value << YAML::BeginMap;
    }
    out_ << YAML::Key << name << YAML::Value;
  }
  void End() {
    for (; !open_.empty(); open_.pop_back()) out_ << YAML::EndMap;
    out_ << YAML::EndMap;
  }

 private:
  YAML::Emitter& out_;
  std::vector<std::string> open_;
};

template <typename Owner>
void EmitValue(YAML::Emitter& out, const Key<Owner>& key, const Owner& owner) {
  if (const auto* map = AsMap(key)) {
    out << YAML::BeginMap;
    for (const auto& [name, value] : map->at(const_cast<Owner&>(owner))) {
      out << YAML::Key << YAML::DoubleQuoted << name << YAML::Value << YAML::DoubleQuoted << value;
    }
    out << YAML::EndMap;
    return;
  }
  if (IsText(key)) out << YAML::DoubleQuoted;
  out << GetValue(key, owner);
}

template <typename Owner>
void EmitKeys(YAML::Emitter& out, const std::vector<Key<Owner>>& keys, const Owner& owner,
              void (*more)(YAML::Emitter&, NestedMaps&, const Owner&)) {
  NestedMaps maps(out);
  for (const Key<Owner>& key : keys) {
    maps.Key(key.path);
    EmitValue(out, key, owner);
  }
  if (more != nullptr) more(out, maps, owner);
  maps.End();
}

void EmitPools(YAML::Emitter& out, NestedMaps& maps, const Config& config) {
  maps.Key("pools");
  out << YAML::BeginSeq;
  for (const Pool& pool : config.pools) EmitKeys<Pool>(out, PoolKeys(), pool, nullptr);
  out << YAML::EndSeq;
}

std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}});
}

template <typename Owner>
std::string Row(const Key<Owner>& key, const Owner& defaults) {
  std::string value = key.default_text;
  if (value.empty()) {
    const std::string plain = GetValue(key, defaults);
    value = plain.empty() ? "empty" : absl::StrCat("`", plain, "`");
  }
  return absl::StrCat("| `", key.path, "` | ", value, " | ", Cell(DescribeType(key)), " | ",
                      Cell(key.doc), " |\n");
}

constexpr const char* kTableHead = "| key | default | value | meaning |\n|---|---|---|---|\n";

constexpr const char* kIntroduction = R"(# Configuration

This page is made from the program's table of keys (`config-reference`); do not edit it.

`spillwayd --config FILE` reads YAML. Every key is also an option, `--flush.lease=90s`, and an option
wins over the file; a pool's keys are addressed by its name, `--pools.flush.replicas=3`, and librdkafka's
properties by theirs, `--kafka.properties.linger.ms=5`. `spillwayd --check` says what is wrong, one line
each (the key's path, its value, what would be right; exit code 78), or prints the effective
configuration. Unknown keys are errors. There are no secrets in it: those are in files that it names.
)";

}  // namespace

std::string ToYaml(const Config& config) {
  YAML::Emitter out;
  EmitKeys<Config>(out, Keys(), config, EmitPools);
  return absl::StrCat(out.c_str(), "\n");
}

std::string WorkerSettings(const Config& config) {
  std::vector<Key<Config>> keys;
  for (const Key<Config>& key : Keys()) {
    if (IsWorkerSetting(key.path)) keys.push_back(key);
  }
  YAML::Emitter out;
  EmitKeys<Config>(out, keys, config, nullptr);
  return absl::StrCat(out.c_str(), "\n");
}

std::string ReferenceMarkdown() {
  std::string text = kIntroduction;
  std::string section;
  const Config defaults;
  for (const Key<Config>& key : Keys()) {
    const size_t dot = key.path.find('.');
    const std::string its_section = dot == std::string::npos ? "general" : key.path.substr(0, dot);
    if (its_section != section) {
      section = its_section;
      absl::StrAppend(&text, "\n## ", section, "\n\n", kTableHead);
    }
    text += Row(key, defaults);
  }
  absl::StrAppend(&text,
                  "\n## pools\n\nA list. In the file it replaces the default list, which is one "
                  "pool `ingest` and one pool `flush` with one worker each.\n\n",
                  kTableHead);
  const Pool pool;
  for (const Key<Pool>& key : PoolKeys()) text += Row(key, pool);
  return text;
}

}  // namespace spillway::config
