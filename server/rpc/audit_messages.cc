#include "server/rpc/audit_messages.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/rpc/resource_messages.h"

namespace spillway::rpc {
namespace {

using buffer::StoreCode;
using supervisor::ShardAudit;

v1::AuditOutcome OutcomeOf(const ShardAudit& audit) {
  if (audit.code != StoreCode::kOk) return v1::AUDIT_OUTCOME_UNREADABLE;
  if (!audit.reply.is_exact) return v1::AUDIT_OUTCOME_MOVING;
  return audit.reply.summary.exists ? v1::AUDIT_OUTCOME_EXACT : v1::AUDIT_OUTCOME_NOT_TAKEN;
}

v1::AuditFigures FiguresOf(const ShardAudit& audit) {
  const buffer::AuditReply& reply = audit.reply;
  v1::AuditFigures figures;
  *figures.mutable_ledger() = ToMessage(reply.summary.ledger);
  figures.set_live_spans(reply.live_spans);
  figures.set_due_parts(reply.due_parts);
  figures.set_in_flight_parts(reply.in_flight_parts);
  figures.set_missing_lists(reply.missing_lists);
  figures.set_undecodable_entries(reply.undecodable_entries);
  figures.set_residual(reply.residual);
  figures.set_message_residual(reply.message_residual);
  figures.set_part_residual(reply.part_residual);
  figures.set_duplicates_at_most(reply.duplicates_at_most + audit.possibly_persisted);
  return figures;
}

// Adds every number of `more`, those of messages within included.
void AddTo(google::protobuf::Message& sum, const google::protobuf::Message& more) {
  const auto* fields = sum.GetDescriptor();
  const auto* reflection = sum.GetReflection();
  using Field = google::protobuf::FieldDescriptor;
  for (int i = 0; i < fields->field_count(); ++i) {
    const Field* field = fields->field(i);
    if (field->cpp_type() == Field::CPPTYPE_UINT64) {
      reflection->SetUInt64(&sum, field,
                            reflection->GetUInt64(sum, field) + reflection->GetUInt64(more, field));
    } else if (field->cpp_type() == Field::CPPTYPE_INT64) {
      reflection->SetInt64(&sum, field,
                           reflection->GetInt64(sum, field) + reflection->GetInt64(more, field));
    } else if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
      AddTo(*reflection->MutableMessage(&sum, field), reflection->GetMessage(more, field));
    }
  }
}

// For a person: what cannot be told, or what is wrong.
std::string DetailOf(const ShardAudit& audit) {
  switch (OutcomeOf(audit)) {
    case v1::AUDIT_OUTCOME_UNREADABLE:
      return audit.message;
    case v1::AUDIT_OUTCOME_MOVING:
      return "the shard changed faster than it could be read; try again";
    case v1::AUDIT_OUTCOME_NOT_TAKEN:
      return "no worker has ever taken the shard";
    default:
      break;
  }
  const buffer::AuditReply& reply = audit.reply;
  std::vector<std::string> findings;
  const auto find = [&](int64_t count, const char* missing, const char* extra) {
    if (count > 0) findings.push_back(absl::StrCat(count, missing));
    if (count < 0) findings.push_back(absl::StrCat(-count, extra));
  };
  find(reply.residual, " spans are missing", " spans more than came in");
  find(reply.message_residual, " messages are missing", " messages more than were read");
  find(reply.part_residual, " parts in flight are missing", " parts in flight are not counted");
  find(static_cast<int64_t>(reply.missing_lists), " lists of live parts are gone", "");
  find(static_cast<int64_t>(reply.undecodable_entries), " entries cannot be decoded", "");
  return absl::StrJoin(findings, "; ");
}

bool IsEven(const v1::ShardAudit& audit) {
  if (audit.outcome() == v1::AUDIT_OUTCOME_NOT_TAKEN) return true;
  const v1::AuditFigures& figures = audit.figures();
  return audit.outcome() == v1::AUDIT_OUTCOME_EXACT && figures.residual() == 0 &&
         figures.message_residual() == 0 && figures.part_residual() == 0;
}

}  // namespace

v1::Ledger ToMessage(const buffer::Ledger& ledger) {
  v1::Ledger message;
  message.set_messages(ledger.messages);
  message.set_accepted(ledger.accepted);
  message.set_rejected(ledger.rejected);
  message.set_filtered(ledger.filtered);
  message.set_deduplicated(ledger.deduplicated);
  message.set_acknowledged(ledger.acknowledged);
  message.set_dropped(ledger.dropped);
  message.set_orphan(ledger.orphan);
  message.set_quarantined(ledger.quarantined);
  message.set_resurrected(ledger.resurrected);
  message.set_unreplayable(ledger.unreplayable);
  message.set_dead_lettered(ledger.dead_lettered);
  message.set_released(ledger.released);
  message.set_stale_acknowledges(ledger.stale_acknowledges);
  message.set_carried(ledger.carried);
  message.set_skipped(ledger.skipped);
  message.set_replayed(ledger.replayed);
  return message;
}

v1::AuditResponse ToMessage(const std::vector<ShardAudit>& audits) {
  v1::AuditResponse response;
  response.set_is_even(true);
  v1::AuditFigures total;
  total.mutable_ledger();
  for (const ShardAudit& audit : audits) {
    v1::ShardAudit& message = *response.add_shards();
    message.set_name(ShardName(audit.shard));
    message.set_shard(audit.shard.value);
    message.set_outcome(OutcomeOf(audit));
    message.set_detail(DetailOf(audit));
    if (message.outcome() == v1::AUDIT_OUTCOME_EXACT) {
      *message.mutable_figures() = FiguresOf(audit);
      AddTo(total, message.figures());
    } else if (message.outcome() != v1::AUDIT_OUTCOME_NOT_TAKEN) {
      response.set_unknown(response.unknown() + 1);
    }
    if (!IsEven(message)) response.set_is_even(false);
  }
  *response.mutable_total() = std::move(total);
  return response;
}

}  // namespace spillway::rpc
