#pragma once
// The part of `eddy-bench corpus` that takes text from papers.
#include <string>
#include <vector>

/// `eddy-bench corpus-extract --input PATH… [--passes N] [--json]`: LaTeX in MB/s (10⁶ bytes of the main files and of
/// what they draw in) and PDF in pages/s beside pdftotext, on one core. Times are processor time, the best of --passes;
/// for PDFs that of the programs started. Returns the exit status.
int bench_corpus_extract(const std::vector<std::string>& arguments);
