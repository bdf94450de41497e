// Whether the input's consumer group is this fleet's alone (design section 7).
#ifndef SPILLWAY_WORKER_INGEST_GROUP_CHECK_H_
#define SPILLWAY_WORKER_INGEST_GROUP_CHECK_H_

#include <string>
#include <vector>

#include "kafka/metadata.h"

namespace spillway::ingest {

// The members of `group` that are not of this fleet, whose own client ids begin with `own_prefix`:
// a sentence for a person, which names a few of them. Empty: there are none. A foreign member would
// take partitions, and commit offsets, that Spillway knows nothing of.
std::string ForeignMembers(const std::string& group, const std::string& own_prefix,
                           const std::vector<kafka::GroupMember>& members);

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_GROUP_CHECK_H_
