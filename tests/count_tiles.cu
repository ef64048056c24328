// What the projection does with tiles_common.cu: counts (N) the tiles of each box that a splat touches.
extern "C" __global__ void __launch_bounds__(256) count_tiles(
    const float* __restrict__ screen, const short* __restrict__ boxes, int N, int* __restrict__ counts) {
    int i = thread_index(), count = 0;
    if (i >= N) return;
    const float* s = screen + RECORD * i;
    for (int y = boxes[4 * i + 1]; y < boxes[4 * i + 3]; ++y) {
        for (int x = boxes[4 * i]; x < boxes[4 * i + 2]; ++x) count += touches(s[0], s[1], s[2], s[3], s[4], s[10], x, y);
    }
    counts[i] = count;
}
