#pragma once
#include <exception>
#include <functional>
#include <string>

namespace eddy {
/// Runs a program's body; prints what it threw on stderr ("eddy-x: what is wrong") and returns the exit status of
/// design.md. For programs without MPI; comm/session.h has the one for MPI programs.
int run_main(const std::string& program, const std::function<int()>& body);
}  // namespace eddy
