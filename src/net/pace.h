#pragma once
// A service's rate: the time between its requests, kept across restarts in a small file.
#include <filesystem>

#include "io/file.h"

namespace eddy::net {

/// One request at a time, and the next no sooner than `interval` seconds after the first byte of the answer to the one
/// before (so that the server cannot see two closer than that). The file holds when that was: a process that is
/// killed and started again, or another on the same folder, keeps the distance too.
class Pace {
 public:
  /// Reads `file` where it exists. `floor` is the shortest interval that set_interval can reach. `now` as below.
  Pace(std::filesystem::path file, double interval, double floor, double now);
  /// When the next request may be sent, in seconds since 1970, seen from `now`.
  double next_at(double now) const;
  void sent(double now);  ///< writes the file, before the request leaves
  void answered(double when);
  void set_interval(double seconds);
  /// No request before this time (Retry-After).
  void hold_until(double when);
  double interval() const { return interval_; }

 private:
  void save() const;
  std::filesystem::path path_;
  io::Descriptor file_;
  double interval_, floor_, last_ = 0, hold_ = 0;
  bool under_way_ = false;
};

}  // namespace eddy::net
