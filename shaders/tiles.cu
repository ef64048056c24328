// From projected splats to the list of those that touch each tile. Needs common.cu and tiles_common.cu.

constexpr int SHARED_FROM = 16;  // tiles in a splat's box from which on a warp looks at them together

// One splat on the screen, of the lane `from` in every lane of the warp.
struct Ellipse {
    float x, y, A, B, C, q_max;

    __device__ bool reaches(int tile_x, int tile_y) const { return touches(x, y, A, B, C, q_max, tile_x, tile_y); }

    __device__ Ellipse of_lane(int from) const {
        return {__shfl_sync(ALL_LANES, x, from), __shfl_sync(ALL_LANES, y, from), __shfl_sync(ALL_LANES, A, from),
                __shfl_sync(ALL_LANES, B, from), __shfl_sync(ALL_LANES, C, from), __shfl_sync(ALL_LANES, q_max, from)};
    }
};

// order: (capacity_rows) rows, nearest first, kept (1) of them; offsets: where a splat's pairs begin. A thread per splat.
// The pair at a place is (tiles, rows); places from `capacity` on are not written.
template <class Tile>
__device__ void list_pairs(
    const float* screen, const short* boxes, const int* counts, const int* order, const int* kept, int capacity_rows,
    const int* offsets, int columns, int capacity, Tile* tiles, int* rows) {
    int i = thread_index(), n = min(*kept, capacity_rows), lane = int(threadIdx.x) & 31;
    if (i - lane >= n) return;  // the whole warp
    int row = i < n ? order[i] : 0, place = i < n ? offsets[i] : capacity;
    int end = i < n ? min(counts[row], capacity - place) + place : place;
    Ellipse ellipse = {};
    int x0 = 0, y0 = 0, width = 0, boxed = 0;
    if (place < end) {
        const float* record = screen + (long long)row * RECORD;
        ellipse = {record[0], record[1], record[2], record[3], record[4], record[10]};
        const short* box = boxes + (long long)row * 4;
        x0 = box[0], y0 = box[1], width = box[2] - x0, boxed = width * (box[3] - y0);
    }
    if (boxed < SHARED_FROM) {
        for (int k = 0, x = x0, y = y0; k < boxed && place < end; ++k) {
            if (ellipse.reaches(x, y)) tiles[place] = Tile(y * columns + x), rows[place++] = row;
            if (++x == x0 + width) x = x0, ++y;
        }
    }
    unsigned large = __ballot_sync(ALL_LANES, boxed >= SHARED_FROM);
    for (; large != 0u; large &= large - 1u) {
        int from = __ffs(int(large)) - 1;
        Ellipse shared = ellipse.of_lane(from);
        int shared_x0 = __shfl_sync(ALL_LANES, x0, from), shared_y0 = __shfl_sync(ALL_LANES, y0, from);
        int shared_width = __shfl_sync(ALL_LANES, width, from), shared_boxed = __shfl_sync(ALL_LANES, boxed, from);
        int shared_place = __shfl_sync(ALL_LANES, place, from), shared_end = __shfl_sync(ALL_LANES, end, from);
        int shared_row = __shfl_sync(ALL_LANES, row, from);
        for (int k = 0; k < shared_boxed && shared_place < shared_end; k += 32) {
            int x = shared_x0 + (k + lane) % shared_width, y = shared_y0 + (k + lane) / shared_width;
            bool reached = k + lane < shared_boxed && shared.reaches(x, y);
            unsigned all = __ballot_sync(ALL_LANES, reached);
            int own = shared_place + __popc(all & ((1u << lane) - 1u));
            if (reached && own < shared_end) tiles[own] = Tile(y * columns + x), rows[own] = shared_row;
            shared_place += __popc(all);
        }
    }
}

// starts: (T + 1) for each tile the first of the sorted pairs that is not of a tile before. A thread per start.
template <class Tile>
__device__ void find_starts(const Tile* tiles, const int* total, int capacity, int T, int* starts) {
    int tile = thread_index();
    if (tile > T) return;
    int low = 0, high = min(*total, capacity);
    while (low < high) {
        int middle = low + (high - low) / 2;
        bool before = int(tiles[middle]) < tile;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    starts[tile] = low;
}

extern "C" __global__ void __launch_bounds__(256) tile_pairs(
    const float* __restrict__ screen, const short* __restrict__ boxes, const int* __restrict__ counts,
    const int* __restrict__ order, const int* __restrict__ kept, int capacity_rows, const int* __restrict__ offsets,
    int columns, int capacity, int* __restrict__ tiles, int* __restrict__ rows) {
    list_pairs(screen, boxes, counts, order, kept, capacity_rows, offsets, columns, capacity, tiles, rows);
}

extern "C" __global__ void __launch_bounds__(256) tile_pairs_short(
    const float* __restrict__ screen, const short* __restrict__ boxes, const int* __restrict__ counts,
    const int* __restrict__ order, const int* __restrict__ kept, int capacity_rows, const int* __restrict__ offsets,
    int columns, int capacity, unsigned short* __restrict__ tiles, int* __restrict__ rows) {
    list_pairs(screen, boxes, counts, order, kept, capacity_rows, offsets, columns, capacity, tiles, rows);
}

extern "C" __global__ void __launch_bounds__(256) tile_starts(
    const int* __restrict__ tiles, const int* __restrict__ total, int capacity, int T, int* __restrict__ starts) {
    find_starts(tiles, total, capacity, T, starts);
}

extern "C" __global__ void __launch_bounds__(256) tile_starts_short(
    const unsigned short* __restrict__ tiles, const int* __restrict__ total, int capacity, int T,
    int* __restrict__ starts) {
    find_starts(tiles, total, capacity, T, starts);
}
