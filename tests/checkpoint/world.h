#pragma once
// What tests of saving from several ranks share: the world, and a folder that all of its ranks see.
#include <filesystem>
#include <optional>
#include <string>

#include "comm/session.h"
#include "support.h"

namespace eddy_test {

inline eddy::comm::Communicator& world() {
  // MPI is the test's main's to finalize, after all statics.
  static auto* const session = new eddy::comm::Session;
  return session->world();
}

/// One folder for all ranks, made by rank 0.
struct SharedDir {
  std::optional<TempDir> own;
  std::string path;
  SharedDir() {
    if (world().rank() == 0) path = own.emplace().path().string();
    path.resize(200, ' ');
    world().broadcast(path.data(), path.size(), eddy::Dtype::u8, 0);
    path.erase(path.find(' '));
  }
  ~SharedDir() { world().barrier(); }
  std::filesystem::path operator/(const std::string& name) const { return std::filesystem::path(path) / name; }
};

}  // namespace eddy_test
