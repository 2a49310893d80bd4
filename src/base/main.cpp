#include "base/main.h"

#include <exception>
#include <new>

#include "base/error.h"
#include "base/log.h"
#include "base/plain_text.h"
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
    log::write(log::Level::error, program + ": " + plain_text(e));
  }
  return static_cast<int>(Exit::failed);
}
}  // namespace eddy
