// What hiredis leaves open: a server that sends a reply nobody asked for.
#ifndef SPILLWAY_BUFFER_REDIS_UNASKED_REPLY_H_
#define SPILLWAY_BUFFER_REDIS_UNASKED_REPLY_H_

struct redisReader;

namespace spillway::buffer {

// Owes the server a reply or more? Asked of the owner of a connection.
class ReplyExpectation {
 public:
  virtual bool IsReplyExpected() const = 0;

 protected:
  ~ReplyExpectation() = default;
};

// Lets `reader` fail, and with it the connection, at the beginning of a reply that is not expected;
// hiredis itself would end the process. (An error it takes for the reason of a refusal.)
// `expectation` is borrowed for as long as the reader reads.
void RefuseUnaskedReplies(redisReader* reader, ReplyExpectation& expectation);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_UNASKED_REPLY_H_
