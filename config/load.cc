#include "config/load.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "config/checks.h"
#include "config/keys.h"
#include "config/values.h"

namespace spillway::config {
namespace {

using Problems = std::vector<Problem>;

constexpr size_t kMaxShownValue = 80;  // characters of a wrong value in its problem

template <typename Owner>
const Key<Owner>* FindKey(const std::vector<Key<Owner>>& keys, absl::string_view path) {
  for (const Key<Owner>& key : keys) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

// Whether some key lies below `path`: then it is a section.
template <typename Owner>
bool IsSection(const std::vector<Key<Owner>>& keys, const std::string& path) {
  return std::any_of(keys.begin(), keys.end(),
                     [&](const Key<Owner>& key) { return absl::StartsWith(key.path, path + "."); });
}

// Known paths and sections, for suggestions.
template <typename Owner>
std::set<std::string> KnownPaths(const std::vector<Key<Owner>>& keys) {
  std::set<std::string> paths;
  for (const Key<Owner>& key : keys) {
    for (size_t dot = key.path.find('.'); dot != std::string::npos;
         dot = key.path.find('.', dot + 1)) {
      paths.insert(key.path.substr(0, dot));
    }
    paths.insert(key.path);
  }
  return paths;
}

template <typename Owner>
std::string UnknownKey(const std::vector<Key<Owner>>& keys, const std::string& path) {
  std::string nearest;
  size_t best = std::max<size_t>(2, path.size() / 4) + 1;
  for (const std::string& known : KnownPaths(keys)) {
    const size_t distance = EditDistance(path, known);
    if (distance < best) {
      best = distance;
      nearest = known;
    }
  }
  if (nearest.empty()) return "no such key (docs/configuration.md lists them)";
  return absl::StrCat("no such key; did you mean ", nearest, "?");
}

std::string Shown(const YAML::Node& node) {
  if (node.IsScalar()) return node.Scalar().substr(0, kMaxShownValue);
  YAML::Emitter out;
  out.SetMapFormat(YAML::Flow);
  out.SetSeqFormat(YAML::Flow);
  out << node;
  return std::string(out.c_str()).substr(0, kMaxShownValue);
}

// Reads one YAML document into a Config, noting every problem on the way.
class FileReader {
 public:
  // What a pool gives, beginning in which line.
  struct Given {
    int line = 0;
    std::set<std::string> keys;
  };
  // `option` names the file in its problems.
  FileReader(const char* option, Config& config, Problems& problems)
      : option_(option), config_(config), problems_(problems) {}

  void Read(const std::string& file) {
    Read(Parse(file, [&] { return YAML::LoadFile(file); }));
  }
  void ReadText(const std::string& yaml) {
    Read(Parse("(text)", [&] { return YAML::Load(yaml); }));
  }

  // A document of pools and nothing else; answers with the keys that each of them gives.
  std::vector<Given> ReadOnlyPools(const std::string& file) {
    const YAML::Node document = Parse(file, [&] { return YAML::LoadFile(file); });
    if (!problems_.empty()) return {};
    if (!document.IsMap() || !document["pools"]) {
      Add("pools", "", "a list of pools");
      return {};
    }
    bool has_pools = false;
    for (const auto& entry : document) {
      line_ = entry.first.Mark().line + 1;
      const bool is_pools = entry.first.IsScalar() && entry.first.Scalar() == "pools";
      if (is_pools && !std::exchange(has_pools, true)) continue;
      Add(Shown(entry.first), Shown(entry.second), "no other key than pools in this file");
    }
    ReadPools(document["pools"]);
    return given_;
  }

 private:
  void Read(const YAML::Node& document) {
    if (!document.IsNull()) ReadMap(Keys(), document, "", "", config_);
  }

  template <typename Reading>
  YAML::Node Parse(const std::string& file, Reading read) {
    try {
      return read();
    } catch (const YAML::BadFile&) {
      problems_.push_back({option_, file, "a readable YAML file"});
    } catch (const YAML::Exception& error) {
      problems_.push_back({option_, file,
                           absl::StrCat("valid YAML; line ", error.mark.line + 1, ", column ",
                                        error.mark.column + 1, ": ", error.msg)});
    }
    return YAML::Node();
  }

  template <typename Owner>
  void ReadMap(const std::vector<Key<Owner>>& keys, const YAML::Node& node,
               const std::string& shown_prefix, const std::string& prefix, Owner& owner) {
    if (!node.IsMap()) {
      Add(shown_prefix, Shown(node), "a map of keys to values");
      return;
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      line_ = entry.first.Mark().line + 1;
      if (!entry.first.IsScalar()) {
        Add(shown_prefix, Shown(entry.first), "a key that is a word");
        continue;
      }
      const std::string& name = entry.first.Scalar();
      const std::string path = prefix.empty() ? name : absl::StrCat(prefix, ".", name);
      const std::string shown = shown_prefix.empty() ? name : absl::StrCat(shown_prefix, ".", name);
      if constexpr (std::is_same_v<Owner, Pool>) given_.back().keys.insert(path);
      if (!seen.insert(name).second) {
        Add(shown, Shown(entry.second), "to be given once; it stands there twice");
        continue;
      }
      ReadEntry(keys, entry.second, shown, path, owner);
    }
  }

  template <typename Owner>
  void ReadEntry(const std::vector<Key<Owner>>& keys, const YAML::Node& value,
                 const std::string& shown, const std::string& path, Owner& owner) {
    if constexpr (std::is_same_v<Owner, Config>) {
      if (path == "pools") return ReadPools(value);
    }
    if (IsSection(keys, path)) {
      if (!value.IsNull())
        ReadMap(keys, value, shown, path, owner);  // "tls:" alone is an empty one
      return;
    }
    const Key<Owner>* key = FindKey(keys, path);
    if (key == nullptr) return Add(shown, Shown(value), UnknownKey(keys, path));
    if (const auto* map = AsMap(*key)) return ReadFreeMap(value, shown, map->at(owner));
    const bool is_empty_text = value.IsNull() && IsText(*key);
    if (!value.IsScalar() && !is_empty_text) return Add(shown, Shown(value), DescribeType(*key));
    const std::string expected = SetValue(*key, is_empty_text ? "" : value.Scalar(), owner);
    if (!expected.empty()) Add(shown, Shown(value), expected);
  }

  void ReadFreeMap(const YAML::Node& node, const std::string& shown,
                   std::map<std::string, std::string>& map) {
    if (node.IsNull()) return;
    if (!node.IsMap()) return Add(shown, Shown(node), "a map of names to values");
    for (const auto& entry : node) {
      if (!entry.first.IsScalar() || !entry.second.IsScalar()) {
        Add(shown, Shown(entry.first), "a name with a plain value");
        continue;
      }
      map[entry.first.Scalar()] = entry.second.Scalar();
    }
  }

  void ReadPools(const YAML::Node& node) {
    if (!node.IsSequence()) return Add("pools", Shown(node), "a list of pools");
    config_.pools.clear();
    for (size_t i = 0; i < node.size(); ++i) {
      Pool pool;
      line_ = node[i].Mark().line + 1;
      given_.push_back({line_, {}});
      // A pool is named by its place until it is known to have a usable name.
      const bool has_name = node[i].IsMap() && node[i]["name"] && node[i]["name"].IsScalar();
      const std::string shown = has_name ? absl::StrCat("pools.", node[i]["name"].Scalar())
                                         : absl::StrCat("pools[", i, "]");
      for (const char* required : {"name", "role"}) {
        if (node[i].IsMap() && !node[i][required]) {
          Add(absl::StrCat(shown, ".", required), "", "to be given");
        }
      }
      ReadMap(PoolKeys(), node[i], shown, "", pool);
      config_.pools.push_back(std::move(pool));
    }
  }

  void Add(const std::string& path, const std::string& value, const std::string& expected) {
    problems_.push_back({path.empty() ? option_ : path, value, expected, line_});
  }

  const std::string option_;
  Config& config_;
  Problems& problems_;
  int line_ = 0;              // being read, from 1
  std::vector<Given> given_;  // by each pool
};

template <typename Owner>
void Override(const std::vector<Key<Owner>>& keys, const std::string& path,
              const std::string& shown, const std::string& value, Owner& owner,
              Problems& problems) {
  const Key<Owner>* key = FindKey(keys, path);
  if (key == nullptr) {
    const std::string expected =
        IsSection(keys, path) ? absl::StrCat("one of the keys below it, as in --", shown, ".…")
                              : UnknownKey(keys, path);
    problems.push_back({shown, value, expected});
    return;
  }
  const std::string expected = SetValue(*key, value, owner);
  if (!expected.empty()) problems.push_back({shown, value, expected});
}

void OverridePool(const std::string& path, const std::string& value, Config& config,
                  Problems& problems) {
  const std::vector<std::string> parts = absl::StrSplit(path, absl::MaxSplits('.', 2));
  std::vector<std::string> names;
  for (Pool& pool : config.pools) {
    names.push_back(pool.name);
    if (parts.size() != 3 || pool.name != parts[1]) continue;
    return Override(PoolKeys(), parts[2], path, value, pool, problems);
  }
  problems.push_back(
      {path, value, absl::StrCat("pools.NAME.KEY with NAME one of ", absl::StrJoin(names, ", "))});
}

void ApplyOverride(const std::string& path, const std::string& value, Config& config,
                   Problems& problems) {
  static const std::string kProperties = "kafka.properties.";
  if (path == "pools" || absl::StartsWith(path, "pools.")) {
    OverridePool(path, value, config, problems);
  } else if (absl::StartsWith(path, kProperties) && path.size() > kProperties.size()) {
    config.kafka.properties[path.substr(kProperties.size())] = value;
  } else {
    Override(Keys(), path, path, value, config, problems);
  }
}

std::vector<Pool> DefaultPools() {
  Pool ingest, flush;
  ingest.name = "ingest";
  flush.name = "flush";
  flush.role = Role::kFlush;
  return {ingest, flush};
}

}  // namespace

static std::variant<Config, Problems> Checked(Config config, Problems problems) {
  // Combinations are judged only when every value stands: else they blame what was not meant.
  if (problems.empty()) {
    FillDefaults(config);
    problems = CheckCombinations(config);
  }
  if (!problems.empty()) return problems;
  return config;
}

std::string Problem::ToString() const {
  return absl::StrCat(key_path, ": ", value.empty() ? "(empty)" : value, ": expected ", expected);
}

std::variant<Config, std::vector<Problem>> Load(const Source& source) {
  Config config;
  config.pools = DefaultPools();
  Problems problems;
  if (!source.file.empty()) FileReader("--config", config, problems).Read(source.file);
  for (const auto& [path, value] : source.overrides) {
    ApplyOverride(path, value, config, problems);
  }
  return Checked(std::move(config), std::move(problems));
}

std::variant<Config, std::vector<Problem>> LoadText(const std::string& yaml) {
  Config config;
  config.pools = DefaultPools();
  Problems problems;
  FileReader("configuration", config, problems).ReadText(yaml);
  return Checked(std::move(config), std::move(problems));
}

std::variant<std::vector<ListedPool>, std::vector<Problem>> LoadPools(const std::string& file) {
  Config config;
  Problems problems;
  const std::vector<FileReader::Given> given =
      FileReader("-f", config, problems).ReadOnlyPools(file);
  std::vector<ListedPool> listed;
  std::set<std::string> names;
  for (size_t i = 0; i < config.pools.size(); ++i) {
    const Pool& pool = config.pools[i];
    if (!pool.name.empty() && !names.insert(pool.name).second) {
      problems.push_back(
          {"pools", pool.name, "every pool to have a name of its own", given[i].line});
    }
    for (const char* key : {"autoscale", "memory_max", "cpu_max"}) {
      if (!given[i].keys.contains(key)) continue;
      problems.push_back({absl::StrCat("pools.", pool.name, ".", key), "",
                          "to be in the configuration file only", given[i].line});
    }
    listed.push_back({pool, given[i].keys});
  }
  if (problems.empty() && listed.empty()) problems.push_back({"pools", "[]", "at least one pool"});
  if (!problems.empty()) return problems;
  return listed;
}

}  // namespace spillway::config
