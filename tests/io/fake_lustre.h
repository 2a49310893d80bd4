#pragma once
// The disk, taken for Lustre's, and a program `lfs` in PATH that keeps account of what it is asked for.
#include <cstdlib>
#include <filesystem>
#include <string>

#include "io/lustre.h"
#include "support.h"

namespace eddy_test {

class FakeLustre final : public eddy::io::FileSystem {
 public:
  explicit FakeLustre(std::int64_t type = eddy::io::kLustre) : type_(type) {}
  std::unique_ptr<eddy::io::OutputFile> open(const std::filesystem::path& path, bool direct) override {
    return eddy::io::disk().open(path, direct);
  }
  void make_folder(const std::filesystem::path& path) override { eddy::io::disk().make_folder(path); }
  void rename(const std::filesystem::path& a, const std::filesystem::path& b) override {
    eddy::io::disk().rename(a, b);
  }
  bool exchange(const std::filesystem::path& a, const std::filesystem::path& b) override {
    return eddy::io::disk().exchange(a, b);
  }
  void remove(const std::filesystem::path& path) override { eddy::io::disk().remove(path); }
  void sync_folder(const std::filesystem::path& path) override { eddy::io::disk().sync_folder(path); }
  std::int64_t type(const std::filesystem::path&) const override { return type_; }

 private:
  std::int64_t type_;
};

/// Puts `lfs` before what is in PATH. It appends its arguments, and what lies in the folder, to calls().
class FakeLfs {
 public:
  explicit FakeLfs(const std::string& end = "exit 0") {
    const std::string script = (dir_ / "lfs").string();
    write_file(script, "#!/bin/sh\necho \"$@\" >> " + (dir_ / "calls").string() +
                           "\nfor last; do :; done\nls \"$last\" >> " + (dir_ / "calls").string() + "\n" + end + "\n");
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    setenv("PATH", (dir_.path().string() + ":" + before_).c_str(), 1);
  }
  ~FakeLfs() { setenv("PATH", before_.c_str(), 1); }
  FakeLfs(const FakeLfs&) = delete;
  FakeLfs& operator=(const FakeLfs&) = delete;
  std::string calls() const { return std::filesystem::exists(dir_ / "calls") ? read_file(dir_ / "calls") : ""; }

 private:
  TempDir dir_;
  std::string before_ = std::getenv("PATH");
};

}  // namespace eddy_test
