// Sums of all numbers before each, of numbers that are not negative. A sum that would pass the largest int stays there:
// however many there are, no place that comes out of it is negative. Needs common.cu.

constexpr int SCAN_THREADS = 256;
constexpr int SCAN_ITEMS = 8;  // per thread, one after another
constexpr int SCAN_BLOCK = SCAN_THREADS * SCAN_ITEMS;

__device__ __forceinline__ int sum_of(int a, int b) {
    unsigned sum = unsigned(a) + unsigned(b);
    return sum < 0x7fffffffu ? int(sum) : 0x7fffffff;
}

// How many there are: what the device says if it says something, but no more than fit.
__device__ __forceinline__ int size_of(const int* count, int capacity) {
    return count != nullptr ? min(*count, capacity) : capacity;
}

// The sum of `value` over the lanes up to this one. All 32 lanes take part.
__device__ __forceinline__ int sum_through(int value) {
    int lane = int(threadIdx.x) & 31;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        int other = __shfl_up_sync(ALL_LANES, value, step);
        if (lane >= step) value = sum_of(value, other);
    }
    return value;
}

// The sum of `value` over the threads before this one, and over the whole block. All threads of the block take part.
__device__ int sum_before(int value, int& whole) {
    __shared__ int parts[SCAN_THREADS / 32];
    int lane = int(threadIdx.x) & 31, warp = int(threadIdx.x) >> 5;
    int sum = sum_through(value);
    if (lane == 31) parts[warp] = sum;
    int before = __shfl_up_sync(ALL_LANES, sum, 1);
    before = lane > 0 ? before : 0;
    __syncthreads();
    whole = 0;
    int warps_before = 0;
#pragma unroll
    for (int w = 0; w < SCAN_THREADS / 32; ++w) {
        if (w == warp) warps_before = whole;
        whole = sum_of(whole, parts[w]);
    }
    __syncthreads();  // before somebody calls this again and writes to parts
    return sum_of(warps_before, before);
}

// Number i of those that are scanned: values[order[i]], or values[i] without an order.
__device__ __forceinline__ int value_at(const int* values, const int* order, int i, int n) {
    return i < n ? values[order != nullptr ? order[i] : i] : 0;
}

// parts: (blocks) sum of each block's numbers.
extern "C" __global__ void __launch_bounds__(256) scan_parts(
    const int* __restrict__ values, const int* __restrict__ order, const int* __restrict__ count, int capacity,
    int* __restrict__ parts) {
    int n = size_of(count, capacity), first = thread_index() * SCAN_ITEMS;
    if (int(blockIdx.x) * SCAN_BLOCK >= n) return;
    int sum = 0, whole;
#pragma unroll
    for (int k = 0; k < SCAN_ITEMS; ++k) sum = sum_of(sum, value_at(values, order, first + k, n));
    sum_before(sum, whole);
    if (threadIdx.x == 0) parts[blockIdx.x] = whole;
}

// One block: from the sum of each part to the sum before it; total (1) of all.
extern "C" __global__ void __launch_bounds__(256) scan_whole(
    const int* __restrict__ count, int capacity, int* __restrict__ parts, int* __restrict__ total) {
    int blocks = (size_of(count, capacity) + SCAN_BLOCK - 1) / SCAN_BLOCK, sum = 0;
    for (int first = 0; first < blocks; first += SCAN_THREADS) {
        int i = first + int(threadIdx.x), whole;
        int before = sum_before(i < blocks ? parts[i] : 0, whole);
        if (i < blocks) parts[i] = sum_of(sum, before);
        sum = sum_of(sum, whole);
    }
    if (threadIdx.x == 0) *total = sum;
}

// sums: (capacity) what is before each number; undefined from `count` on.
extern "C" __global__ void __launch_bounds__(256) scan_sums(
    const int* __restrict__ values, const int* __restrict__ order, const int* __restrict__ count, int capacity,
    const int* __restrict__ parts, int* __restrict__ sums) {
    int n = size_of(count, capacity), first = thread_index() * SCAN_ITEMS;
    if (int(blockIdx.x) * SCAN_BLOCK >= n) return;
    int numbers[SCAN_ITEMS], own = 0, whole;
#pragma unroll
    for (int k = 0; k < SCAN_ITEMS; ++k) {
        numbers[k] = value_at(values, order, first + k, n);
        own = sum_of(own, numbers[k]);
    }
    int sum = sum_of(parts[blockIdx.x], sum_before(own, whole));
#pragma unroll
    for (int k = 0; k < SCAN_ITEMS; ++k) {
        if (first + k < n) sums[first + k] = sum;
        sum = sum_of(sum, numbers[k]);
    }
}
