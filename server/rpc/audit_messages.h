// An audit's findings as the message of the API: figures of each shard, their sum, the verdict.
#ifndef SPILLWAY_SERVER_RPC_AUDIT_MESSAGES_H_
#define SPILLWAY_SERVER_RPC_AUDIT_MESSAGES_H_

#include <vector>

#include "server/supervisor/shard_audit.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::rpc {

v1::Ledger ToMessage(const buffer::Ledger& ledger);
v1::AuditResponse ToMessage(const std::vector<supervisor::ShardAudit>& audits);

}  // namespace spillway::rpc

#endif  // SPILLWAY_SERVER_RPC_AUDIT_MESSAGES_H_
