#include "worker/ingest/group_check.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace spillway::ingest {

std::string ForeignMembers(const std::string& group, const std::string& own_prefix,
                           const std::vector<kafka::GroupMember>& members) {
  constexpr size_t kNamed = 3;
  std::vector<std::string> named;
  size_t count = 0;
  for (const kafka::GroupMember& member : members) {
    if (absl::StartsWith(member.client_id, own_prefix)) continue;
    if (++count <= kNamed) named.push_back(absl::StrCat(member.client_id, " at ", member.host));
  }
  if (count == 0) return "";
  const std::string more = count > kNamed ? absl::StrCat(" and ", count - kNamed, " more") : "";
  return absl::StrCat("input.group: ", group, " has members that are not of this fleet (",
                      absl::StrJoin(named, ", "), more,
                      "): stop them, or give input.group another name");
}

}  // namespace spillway::ingest
