// FleetService's calls about drop rules.
#include <utility>

#include "server/rpc/drop_rule_messages.h"
#include "server/rpc/fleet_service.h"
#include "server/rpc/grpc_status.h"

namespace spillway::rpc {
namespace {

using supervisor::Origin;
using supervisor::PoolDone;
using supervisor::PoolView;

grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// Rules have no etag: who sets one says all of it.
template <typename Request>
Origin OriginOf(const Request& request) {
  Origin origin;
  origin.request_id = request.request_id();
  origin.validate_only = request.validate_only();
  return origin;
}

}  // namespace

grpc::ServerUnaryReactor* FleetService::SetDropRule(Context* context,
                                                    const v1::SetDropRuleRequest* request,
                                                    v1::DropRule* response) {
  absl::StatusOr<supervisor::DropRuleSetting> setting = ToSetting(*request, clock_.Wall());
  if (!setting.ok()) return Finish(context, setting.status());
  // What a question answers with, and a repeated request whose rule has ended meanwhile.
  *response = ToMessage(supervisor::DropRuleView{setting->rule, {}, "", setting->reason});
  response->clear_set_time();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool is_question = request->validate_only();
  Run(
      *context, *request, OriginOf(*request),
      [this, setting = *setting](Origin origin, PoolDone done) mutable {
        setting.origin = std::move(origin);
        fleet_.SetDropRule(std::move(setting), std::move(done));
      },
      [this, reactor, response, is_question,
       name = setting->rule.name](const absl::StatusOr<PoolView>& answer) {
        const supervisor::SnapshotPtr snapshot = fleet_.Snapshot();
        const supervisor::DropRuleView* rule = supervisor::FindDropRule(*snapshot, name);
        if (answer.ok() && !is_question && rule != nullptr) *response = ToMessage(*rule);
        reactor->Finish(ToGrpcStatus(answer.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* FleetService::ListDropRules(Context* context,
                                                      const v1::ListDropRulesRequest*,
                                                      v1::ListDropRulesResponse* response) {
  *response = DropRulesMessage(*fleet_.Snapshot());
  return Finish(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* FleetService::DeleteDropRule(Context* context,
                                                       const v1::DeleteDropRuleRequest* request,
                                                       v1::DropRule* response) {
  const absl::StatusOr<std::string> name = ParseDropRuleName(request->name());
  if (!name.ok()) return Finish(context, name.status());
  const supervisor::SnapshotPtr before = fleet_.Snapshot();
  const supervisor::DropRuleView* rule = supervisor::FindDropRule(*before, *name);
  if (rule != nullptr) *response = ToMessage(*rule);
  response->set_name(request->name());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Run(
      *context, *request, OriginOf(*request),
      [this, name = *name](Origin origin, PoolDone done) {
        fleet_.DeleteDropRule(name, std::move(origin), std::move(done));
      },
      [reactor](const absl::StatusOr<PoolView>& answer) {
        reactor->Finish(ToGrpcStatus(answer.status()));
      });
  return reactor;
}

}  // namespace spillway::rpc
