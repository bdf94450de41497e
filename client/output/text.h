// Values as a person reads them: an enum's name, "?" if it is not told, its number if it is newer
// than this build.
#ifndef SPILLWAY_CLIENT_OUTPUT_TEXT_H_
#define SPILLWAY_CLIENT_OUTPUT_TEXT_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "spillway/v1/fleet.pb.h"

namespace spillway::client {

std::string Text(v1::Role role);             // "flush"; unknown: its number
std::string Text(v1::PoolState state);       // "RUNNING"
std::string Text(v1::WorkerState state);     // "CRASH_LOOP"
std::string Text(v1::RestartState state);    // "UNDER_WAY"
std::string Text(v1::AuditOutcome outcome);  // "EXACT"
std::string Text(v1::Activity activity);     // "KAFKA_QUEUE"
std::string Text(v1::Limit limit);           // "REDIS"
std::string Text(v1::OperationKind kind);
std::string Text(v1::OperationState state);
std::string Text(v1::WorkerPhase phase);
std::string OperationText(const v1::Operation& operation);  // "operations/7 RUNNING: …"
// What would be, a line each: "would start flush/2", …; without a line's end.
std::string PlanText(const v1::Plan& plan);
std::string ProgressText(const v1::Operation& operation);        // "flush/0 DONE, flush/1 STARTING"
std::string Text(v1::ScaleOwner owner);                          // "EXTERNAL"
std::string Text(const v1::Health& health);                      // "HEALTHY", "UNHEALTHY (SILENT)"
std::string Text(const v1::Gate& gate);                          // "OPEN", "CLOSED (REDIS_MEMORY)"
std::string Text(const google::protobuf::Duration& duration);    // "250 ms", "1.5 s", "3 m 20 s"
std::string Text(const google::protobuf::Timestamp& timestamp);  // "2023-11-14T22:13:20Z"
std::string BytesText(int64_t bytes);                            // "64.0 MiB"
std::string ShortName(
    const std::string& name);  // "pools/flush/workers/0" → "flush/0", "shards/7" → "7"

// What an event did: "desired 1 -> desired 3"; else its detail.
std::string WhatText(const v1::Event& event);
std::string EndText(const v1::Death& death);  // "exit 1", "signal 9", "?"
// "restart UNDER_WAY, 1 of 3 replaced, waits: …"; empty: none yet.
std::string WorkText(const v1::Pool& pool);
// "5", "5, being tried; 2 workers run another one", "4; 5 was taken back: …"; empty: not counted.
std::string ConfigText(const v1::Pool& pool);
std::string ConfigText(const v1::Worker& worker);  // "5", "?"
std::string StateText(const v1::Worker& worker);   // "READY", "READY (paused)"

// "90s", "2m", "500ms", "1h"; a bare number is seconds. Empty: none of these, or negative.
std::optional<Duration> ParseDuration(const std::string& text);

}  // namespace spillway::client

#endif  // SPILLWAY_CLIENT_OUTPUT_TEXT_H_
