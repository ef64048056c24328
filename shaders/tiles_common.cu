// Which tiles a splat touches. Needs common.cu.

// A bound from below on A dx^2 + 2 B dx dy + C dy^2 as anybody computes it in float32: less a millionth of the absolute
// values of its terms, which cancel where an ellipse is thin. Every sum is one fmaf, so that all programs round alike:
// the tiles that one program counts are the tiles that another one lists.
__device__ float least_power(float A, float B, float C, float dx, float dy) {
    float cross = 2.0f * B * dx;
    float squares = fmaf(A * dx, dx, C * dy * dy);
    float terms = fmaf(fabsf(cross), fabsf(dy), squares);
    return fmaf(-1e-6f, terms, fmaf(cross, dy, squares));
}

// Whether the ellipse of a splat, A dx^2 + 2 B dx dy + C dy^2 <= q_max around (x, y), reaches the rectangle of a tile's
// pixel centres; true for a few that it just misses, never false where a pixel is inside. The quadratic is convex, so
// that it is least over the rectangle at (x, y) itself or on an edge that faces it, where the coordinate along the edge
// that makes it least is clamped to the edge. A coordinate of (x, y) within the rectangle's faces no edge; dx or dy is
// then 0, and that candidate is a point of the other edge.
__device__ bool touches(float x, float y, float A, float B, float C, float q_max, int tile_x, int tile_y) {
    float x0 = (float)(tile_x * TILE) + 0.5f - x, x1 = (float)(tile_x * TILE + TILE - 1) + 0.5f - x;
    float y0 = (float)(tile_y * TILE) + 0.5f - y, y1 = (float)(tile_y * TILE + TILE - 1) + 0.5f - y;
    float near_x = fminf(fmaxf(0.0f, x0), x1), near_y = fminf(fmaxf(0.0f, y0), y1);
    float across = fminf(fmaxf(-B / C * near_x, y0), y1), along = fminf(fmaxf(-B / A * near_y, x0), x1);
    float least = fminf(least_power(A, B, C, near_x, across), least_power(A, B, C, along, near_y));
    return least <= fmaf(1e-5f, q_max, q_max + 1e-5f);
}
