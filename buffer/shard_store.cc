#include "buffer/shard_store.h"

namespace spillway::buffer {

std::string ClaimId::ToString() const { return HexText(high) + HexText(low); }

}  // namespace spillway::buffer
