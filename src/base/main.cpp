#include "base/main.h"

#include <exception>
#include <filesystem>
#include <new>

#include "base/error.h"
#include "base/log.h"
#include "base/process.h"

namespace eddy {
int run_main(const std::string& program, const std::function<int()>& body) {
  report_file_size_limit();
  try {
    return body();
  } catch (const Error& e) {
    log::write(log::Level::error, program + ": " + e.what());
    return static_cast<int>(e.status());
  } catch (const std::bad_alloc&) {
    log::write(log::Level::error, program + ": out of memory");
  } catch (const std::exception& e) {
    log::write(log::Level::error, program + ": " + message_of(e));
  }
  return static_cast<int>(Exit::failed);
}

std::string message_of(const std::exception& e) {
  const auto* files = dynamic_cast<const std::filesystem::filesystem_error*>(&e);
  if (!files) return e.what();
  std::string where = files->path1().string();
  if (!files->path2().empty()) where += " and " + files->path2().string();
  return where + ": " + files->code().message();
}
}  // namespace eddy
