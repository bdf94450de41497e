#include "client/context/contexts.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/names.h"

namespace spillway::client {
namespace {

namespace fs = std::filesystem;

absl::Status Wrong(const std::string& file, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(file, ": ", what));
}

// Empty: not a text.
std::string TextOf(const YAML::Node& map, const char* key) {
  const YAML::Node value = map[key];
  return value && value.IsScalar() ? value.Scalar() : "";
}

absl::StatusOr<Context> ReadContext(const std::string& file, const YAML::Node& node) {
  if (!node.IsMap()) return Wrong(file, "contexts: expected a list of maps with name and server");
  for (const auto& entry : node) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (key == "name" || key == "server") continue;
    return Wrong(file, absl::StrCat("contexts: ", key, ": no such key; there are name and server"));
  }
  Context context{TextOf(node, "name"), TextOf(node, "server")};
  if (!IsPoolName(context.name)) {
    return Wrong(file,
                 absl::StrCat("contexts: name: \"", context.name, "\": expected ", kPoolNameRule));
  }
  if (context.server.empty()) {
    return Wrong(file, absl::StrCat("contexts: ", context.name,
                                    ": server: expected an address such as 10.0.0.7:7400"));
  }
  return context;
}

absl::StatusOr<Contexts> Read(const std::string& file, const YAML::Node& document) {
  Contexts read;
  if (document.IsNull()) return read;
  if (!document.IsMap()) return Wrong(file, "expected a map with current and contexts");
  std::set<std::string> names;
  for (const auto& entry : document) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (key == "current" && entry.second.IsScalar()) {
      read.current = entry.second.Scalar();
    } else if (key == "contexts" && entry.second.IsSequence()) {
      for (const YAML::Node& node : entry.second) {
        absl::StatusOr<Context> context = ReadContext(file, node);
        if (!context.ok()) return context.status();
        if (!names.insert(context->name).second) {
          return Wrong(file, absl::StrCat("contexts: ", context->name, ": stands there twice"));
        }
        read.contexts.push_back(*std::move(context));
      }
    } else {
      return Wrong(file, absl::StrCat(key, ": expected current: NAME and contexts: a list"));
    }
  }
  std::ranges::sort(read.contexts, {}, &Context::name);
  if (!read.current.empty() && FindContext(read, read.current) == nullptr) {
    return Wrong(file, absl::StrCat("current: ", read.current, ": expected one of the contexts"));
  }
  return read;
}

}  // namespace

const Context* FindContext(const Contexts& contexts, const std::string& name) {
  const auto found = std::ranges::find(contexts.contexts, name, &Context::name);
  return found == contexts.contexts.end() ? nullptr : &*found;
}

absl::StatusOr<Contexts> LoadContexts(const std::string& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return Contexts{};
  try {
    return Read(file, YAML::LoadFile(file));
  } catch (const YAML::Exception& wrong) {
    return Wrong(file, absl::StrCat("expected YAML that can be read: ", wrong.what()));
  }
}

absl::Status SaveContexts(const std::string& file, const Contexts& contexts) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  if (!contexts.current.empty()) {
    out << YAML::Key << "current" << YAML::Value << YAML::DoubleQuoted << contexts.current;
  }
  out << YAML::Key << "contexts" << YAML::Value << YAML::BeginSeq;
  for (const Context& context : contexts.contexts) {
    out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << YAML::DoubleQuoted
        << context.name << YAML::Key << "server" << YAML::Value << YAML::DoubleQuoted
        << context.server << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
  std::error_code error;
  const fs::path folder = fs::path(file).parent_path();
  if (!folder.empty()) fs::create_directories(folder, error);
  const std::string unfinished = file + ".new";
  std::ofstream stream(unfinished);
  stream << out.c_str() << "\n";
  stream.close();
  if (stream) fs::rename(unfinished, file, error);
  if (!stream || error) {
    return Wrong(file, "cannot be written: expected a file and a folder that you may write");
  }
  return absl::OkStatus();
}

}  // namespace spillway::client
