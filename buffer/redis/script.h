// The Lua scripts of buffer/scripts, embedded when building. Each script's own first lines document
// its KEYS, ARGV and reply.
#ifndef SPILLWAY_BUFFER_REDIS_SCRIPT_H_
#define SPILLWAY_BUFFER_REDIS_SCRIPT_H_

namespace spillway::buffer {

struct Script {
  const char* name;
  const char* sha1;  // 40 hex digits, of `source`
  const char* source;
};

namespace scripts {
extern const Script kAck, kAcquire, kAdd, kAuditbegin, kAuditclaim, kAuditend, kAuditnames,
    kAuditparts, kAuditread, kClaim, kClaimed, kDictionary, kDroprules, kLive, kPeek, kRelease,
    kSelftest, kSummary, kTails, kTake, kTick, kTook;
}  // namespace scripts
}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_SCRIPT_H_
