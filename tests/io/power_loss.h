#pragma once
// A file system that loses power: it does what it is told in a folder of the real one, keeps account of what a disk
// would have kept, and stops for good at the operation it is told to.
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "io/file_system.h"
#include "support.h"

namespace eddy_test {

class PowerLoss final : public eddy::io::FileSystem {
 public:
  /// What the disk holds after the loss, of what was not synced.
  enum class Kept {
    nothing,   ///< neither contents nor names
    contents,  ///< contents, but no names
    names,     ///< names, but no contents
    all,       ///< everything, and half of a write that was under way
    some,      ///< this file's or folder's, not that one's
  };
  /// `root` exists and is empty. `deaf`: does not do what sync asks for.
  explicit PowerLoss(std::filesystem::path root, bool deaf = false)
      : root_path_(std::move(root)), deaf_(deaf), root_(std::make_shared<Node>()) {
    root_->folder = true;
  }

  /// The power goes at the n-th operation from now on (from 0): it and all later ones throw.
  void lose_at(std::uint64_t n) { lose_at_ = count_ + n; }
  bool lost() const { return lost_; }
  /// Leaves in the folder what the disk has kept.
  void restore(Kept kept) {
    std::filesystem::remove_all(root_path_);
    std::filesystem::create_directory(root_path_);
    materialise(*root_, root_path_, kept);
  }

  std::unique_ptr<eddy::io::OutputFile> open(const std::filesystem::path& path, bool) override {
    operate();
    auto& names = parent(path).names;
    auto& node = names[path.filename().string()];
    if (!node) node = std::make_shared<Node>();
    return std::make_unique<File>(*this, node, eddy::io::disk().open(path));
  }
  void make_folder(const std::filesystem::path& path) override {
    operate();
    auto& node = parent(path).names[path.filename().string()];
    if (!node) node = std::make_shared<Node>();
    node->folder = true;
    eddy::io::disk().make_folder(path);
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    operate();
    auto& names = parent(from).names;
    parent(to).names[to.filename().string()] = names.at(from.filename().string());
    names.erase(from.filename().string());
    eddy::io::disk().rename(from, to);
  }
  bool exchange(const std::filesystem::path& a, const std::filesystem::path& b) override {
    operate();
    std::swap(parent(a).names.at(a.filename().string()), parent(b).names.at(b.filename().string()));
    return eddy::io::disk().exchange(a, b);
  }
  void remove(const std::filesystem::path& path) override {
    operate();
    parent(path).names.erase(path.filename().string());
    eddy::io::disk().remove(path);
  }
  void sync_folder(const std::filesystem::path& path) override {
    operate();
    Node& node = at(path);
    if (!deaf_) node.kept_names = node.names;
  }

 private:
  struct Node {
    bool folder = false;
    std::string content, kept_content;
    std::map<std::string, std::shared_ptr<Node>> names, kept_names;
  };

  class File final : public eddy::io::OutputFile {
   public:
    File(PowerLoss& disk, std::shared_ptr<Node> node, std::unique_ptr<eddy::io::OutputFile> real)
        : disk_(disk), node_(std::move(node)), real_(std::move(real)) {}
    void write_at(const void* data, std::size_t bytes, std::uint64_t offset) override {
      const auto put = [&](std::size_t n) {
        if (node_->content.size() < offset + n) node_->content.resize(offset + n);
        node_->content.replace(offset, n, static_cast<const char*>(data), n);
      };
      const std::lock_guard lock(disk_.mutex_);
      try {
        disk_.operate();
      } catch (...) {
        put(bytes / 2);
        throw;
      }
      put(bytes);
      real_->write_at(data, bytes, offset);
    }
    void reserve(std::uint64_t bytes) override {
      disk_.operate();
      node_->content.resize(bytes);
      real_->reserve(bytes);
    }
    void sync() override {
      disk_.operate();
      if (!disk_.deaf_) node_->kept_content = node_->content;
    }
    void close() override { real_->close(); }

   private:
    PowerLoss& disk_;
    std::shared_ptr<Node> node_;
    std::unique_ptr<eddy::io::OutputFile> real_;
  };

  void operate() {
    lost_ = lost_ || count_ == lose_at_;
    if (lost_) eddy::fail_run("the power is gone");
    ++count_;
  }
  Node& at(const std::filesystem::path& path) {
    Node* node = root_.get();
    for (const auto& part : path.lexically_relative(root_path_))
      if (part != ".") node = node->names.at(part.string()).get();
    return *node;
  }
  Node& parent(const std::filesystem::path& path) { return at(path.parent_path()); }
  void materialise(const Node& node, const std::filesystem::path& path, Kept kept) {
    const bool drawn = kept == Kept::some && draw();
    const bool content = kept == Kept::contents || kept == Kept::all || drawn,
               names = kept == Kept::names || kept == Kept::all || drawn;
    if (!node.folder) return write_file(path, content ? node.content : node.kept_content);
    std::filesystem::create_directory(path);
    for (const auto& [name, child] : names ? node.names : node.kept_names) materialise(*child, path / name, kept);
  }
  bool draw() { return (random_ = random_ * 6364136223846793005u + 1442695040888963407u) >> 63 != 0; }

  std::filesystem::path root_path_;
  bool deaf_, lost_ = false;
  std::shared_ptr<Node> root_;
  std::uint64_t count_ = 0, lose_at_ = UINT64_MAX, random_ = 1;
  std::mutex mutex_;
};

}  // namespace eddy_test
