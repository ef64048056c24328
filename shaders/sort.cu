// One pass of a stable radix sort, least significant digit first: count each digit in each block (sort_count), sum the
// counts up over the blocks (sort_places), move each key to behind all smaller digits and all equal ones before it
// (sort_move). Keys move with a row each. Needs common.cu and scan.cu.

constexpr int DIGITS = 256;
constexpr int SORT_THREADS = 256;  // as many as digits: a thread looks after a digit
constexpr int SORT_WARPS = SORT_THREADS / 32;
constexpr int SORT_ITEMS = 16;  // keys per thread
constexpr int SORT_BLOCK = SORT_THREADS * SORT_ITEMS;
constexpr int PLACE_ITEMS = 8;  // counts per lane
constexpr unsigned CULLED = 0x7fffffffu;

// Whether key i is there; with `cull`, a pass leaves keys that are CULLED behind.
__device__ __forceinline__ bool is_there(unsigned key, int i, int n, int cull) {
    return i < n && (cull == 0 || key != CULLED);
}

template <class Key>
__device__ void count_digits(
    const Key* keys, const int* count, int capacity, int cull, int shift, int bits, int* table) {
    __shared__ int found[DIGITS];
    int n = size_of(count, capacity), first = int(blockIdx.x) * SORT_BLOCK, digit = int(threadIdx.x);
    if (first >= n) return;
    found[digit] = 0;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < SORT_ITEMS; ++k) {
        int i = first + k * SORT_THREADS + int(threadIdx.x);
        unsigned key = i < n ? keys[i] : 0u;
        if (is_there(key, i, n, cull)) atomicAdd(&found[(key >> shift) & ((1u << bits) - 1u)], 1);
    }
    __syncthreads();
    if (digit < 1 << bits) table[digit * int(gridDim.x) + int(blockIdx.x)] = found[digit];
}

// The lanes whose digit is that of this lane, among those that are there.
__device__ __forceinline__ unsigned equal_lanes(int digit, int bits, bool there) {
    unsigned lanes = __ballot_sync(ALL_LANES, there);
    for (int b = 0; b < bits; ++b) {
        bool set = (digit >> b & 1) != 0;
        unsigned others = __ballot_sync(ALL_LANES, set);
        lanes &= set ? others : ~others;
    }
    return lanes;
}

template <class Key>
__device__ void move_keys(
    const Key* keys, const int* rows, const int* count, int capacity, int cull, int shift, int bits,
    const int* table, const int* totals, Key* sorted_keys, int* sorted_rows, int* kept) {
    __shared__ int found[SORT_WARPS][DIGITS];  // of each digit: in the warp so far; later where in the block it goes
    __shared__ int places[DIGITS];             // where a digit's first key of the block goes, less where it is in `moved`
    __shared__ int moved[SORT_BLOCK];          // the block's keys in order, and then its rows
    int n = size_of(count, capacity), first = int(blockIdx.x) * SORT_BLOCK, thread = int(threadIdx.x);
    if (first >= n) return;
    int lane = thread & 31, warp = thread >> 5, mask = (1 << bits) - 1;
    int own = first + warp * 32 * SORT_ITEMS + lane;  // a warp's keys are one after another, in the order of its turns
#pragma unroll
    for (int d = 0; d < DIGITS; d += 32) found[warp][d + lane] = 0;
    __syncwarp();

    unsigned held[SORT_ITEMS];
    int place[SORT_ITEMS];  // among equal digits of the warp; then in `moved`; -1 for what is not there
#pragma unroll
    for (int k = 0; k < SORT_ITEMS; ++k) {
        int i = own + 32 * k;
        held[k] = i < n ? keys[i] : 0u;
        bool there = is_there(held[k], i, n, cull);
        int digit = int(held[k] >> shift) & mask;
        unsigned equal = equal_lanes(digit, bits, there);
        int before = __popc(equal & ((1u << lane) - 1u));
        int earlier = found[warp][digit];
        __syncwarp();
        if (there && before == 0) found[warp][digit] = earlier + __popc(equal);
        __syncwarp();
        place[k] = there ? earlier + before : -1;
    }
    __syncthreads();

    int digit_count = 0, here, whole;
#pragma unroll
    for (int w = 0; w < SORT_WARPS; ++w) {
        int in_warp = found[w][thread];
        found[w][thread] = digit_count;
        digit_count += in_warp;
    }
    int start = sum_before(digit_count, here);
    int smaller = sum_before(thread <= mask ? totals[thread] : 0, whole);
#pragma unroll
    for (int w = 0; w < SORT_WARPS; ++w) found[w][thread] += start;
    if (thread <= mask) places[thread] = smaller + table[thread * int(gridDim.x) + int(blockIdx.x)] - start;
    if (kept != nullptr && blockIdx.x == 0 && thread == 0) *kept = whole;
    __syncthreads();

#pragma unroll
    for (int k = 0; k < SORT_ITEMS; ++k) {
        if (place[k] >= 0) {
            place[k] += found[warp][int(held[k] >> shift) & mask];
            moved[place[k]] = int(held[k]);
        }
    }
    __syncthreads();
    int target[SORT_ITEMS];
#pragma unroll
    for (int k = 0; k < SORT_ITEMS; ++k) {
        int i = k * SORT_THREADS + thread;  // neighbours write to neighbouring places, as far as digits are equal
        if (i < here) {
            unsigned key = unsigned(moved[i]);
            target[k] = i + places[int(key >> shift) & mask];
            if (sorted_keys != nullptr) sorted_keys[target[k]] = Key(key);
        }
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < SORT_ITEMS; ++k) {
        if (place[k] >= 0) moved[place[k]] = rows != nullptr ? rows[own + 32 * k] : own + 32 * k;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < SORT_ITEMS; ++k) {
        int i = k * SORT_THREADS + thread;
        if (i < here) sorted_rows[target[k]] = moved[i];
    }
}

// table: (2^bits, blocks) how often each digit is in each block.
extern "C" __global__ void __launch_bounds__(256) sort_count(
    const unsigned* __restrict__ keys, const int* __restrict__ count, int capacity, int cull, int shift, int bits,
    int* __restrict__ table) {
    count_digits(keys, count, capacity, cull, shift, bits, table);
}

extern "C" __global__ void __launch_bounds__(256) sort_count_short(
    const unsigned short* __restrict__ keys, const int* __restrict__ count, int capacity, int cull, int shift, int bits,
    int* __restrict__ table) {
    count_digits(keys, count, capacity, cull, shift, bits, table);
}

// A warp per digit. table: (digits, blocks) from counts to the sums over the blocks before; totals: (digits) over all.
extern "C" __global__ void __launch_bounds__(256) sort_places(
    const int* __restrict__ count, int capacity, int bits, int blocks, int* __restrict__ table,
    int* __restrict__ totals) {
    int digit = thread_index() >> 5, lane = int(threadIdx.x) & 31;
    if (digit >> bits != 0) return;
    int used = (size_of(count, capacity) + SORT_BLOCK - 1) / SORT_BLOCK, sum = 0;
    int* row = table + (long long)digit * blocks;
    for (int first = 0; first < used; first += 32 * PLACE_ITEMS) {
        int own = first + lane * PLACE_ITEMS, counts[PLACE_ITEMS], in_lane = 0;
#pragma unroll
        for (int k = 0; k < PLACE_ITEMS; ++k) {
            counts[k] = own + k < used ? row[own + k] : 0;
            in_lane += counts[k];
        }
        int through = sum_through(in_lane), before = sum + through - in_lane;
#pragma unroll
        for (int k = 0; k < PLACE_ITEMS; ++k) {
            if (own + k < used) row[own + k] = before;
            before += counts[k];
        }
        sum += __shfl_sync(ALL_LANES, through, 31);
    }
    if (lane == 0) totals[digit] = sum;
}

// rows: (capacity), or null for 0, 1, 2, ...; sorted_keys: null where nobody needs them; kept: (1) how many were not
// left behind, or null. On the grid of sort_count.
extern "C" __global__ void __launch_bounds__(256) sort_move(
    const unsigned* __restrict__ keys, const int* __restrict__ rows, const int* __restrict__ count, int capacity,
    int cull, int shift, int bits, const int* __restrict__ table, const int* __restrict__ totals,
    unsigned* __restrict__ sorted_keys, int* __restrict__ sorted_rows, int* __restrict__ kept) {
    move_keys(keys, rows, count, capacity, cull, shift, bits, table, totals, sorted_keys, sorted_rows, kept);
}

extern "C" __global__ void __launch_bounds__(256) sort_move_short(
    const unsigned short* __restrict__ keys, const int* __restrict__ rows, const int* __restrict__ count, int capacity,
    int cull, int shift, int bits, const int* __restrict__ table, const int* __restrict__ totals,
    unsigned short* __restrict__ sorted_keys, int* __restrict__ sorted_rows, int* __restrict__ kept) {
    move_keys(keys, rows, count, capacity, cull, shift, bits, table, totals, sorted_keys, sorted_rows, kept);
}
