// The short form of convert_r1_shape_test.
#define EDDY_SHORT
#include "convert_r1_shape_test.cpp"
