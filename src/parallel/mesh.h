#pragma once
// Which rank does what: World = PP × DP × CP × TP for attention and dense layers, TP fastest; the same ranks regrouped
// as PP × EDP × EP for experts (EP is folded over DP × CP × TP). Pure functions of the layout and a rank.
#include <string>
#include <vector>

namespace eddy::parallel {

struct Layout {
  int world = 1;  ///< ranks
  int tp = 1;     ///< tensor parallelism, with sequence parallelism between the blocks
  int ep = 1;     ///< expert parallelism
  int pp = 1;     ///< pipeline stages
  int cp = 1;     ///< context parallelism: only 1 for now
  int dp() const { return world / (tp * pp * cp); }
  int stage_size() const { return world / pp; }  ///< ranks of one pipeline stage
  int edp() const { return stage_size() / ep; }  ///< replicas of each expert
  std::string text() const;                      ///< "TP2 EP4 PP2 DP2 (8 ranks)"
};

/// What of a model limits a layout; 0 or 1 means no limit.
struct Divisors {
  int heads = 1, experts = 1, dense_width = 1, layers = 1;
};
/// Throws Error (status 2) naming the option, why it is impossible and the nearest possible layouts.
void validate(const Layout& layout, const Divisors& model);

struct Coordinates {
  int pp, dp, tp;  ///< rank = (pp · DP + dp) · TP + tp
  int edp, ep;     ///< rank within the stage = edp · EP + ep
};
Coordinates coordinates(const Layout& layout, int rank);

enum class Group { world, tp, dp, pp, ep, edp, stage, tied };  ///< tied: first and last stage at the same place
const char* name_of(Group g);
/// The world ranks, ascending, of `rank`'s group. `tied` is {rank} alone for middle stages and for PP 1.
std::vector<int> members(const Layout& layout, Group group, int rank);

}  // namespace eddy::parallel
