#pragma once
// The commands of eddy-convert. Each takes the arguments after its name and returns the exit status; all ranks call it.
#include <string>
#include <vector>

#include "comm/session.h"

namespace eddy::convert {

using Arguments = std::vector<std::string>;

int from_hf(comm::Session& session, const Arguments& arguments);
int to_hf(comm::Session& session, const Arguments& arguments);
int cast_folder(comm::Session& session, const Arguments& arguments);
int download(comm::Session& session, const Arguments& arguments);  ///< where it is built (hf/download.h)
int reshard(comm::Session& session, const Arguments& arguments);
int inspect(comm::Session& session, const Arguments& arguments);
int verify(comm::Session& session, const Arguments& arguments);
int diff(comm::Session& session, const Arguments& arguments);

}  // namespace eddy::convert
