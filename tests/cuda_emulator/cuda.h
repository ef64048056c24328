// CUDA's language for g++, read after fibers.h. Unlike on a GPU, a float too large for an integer does not saturate when
// it is converted, and no sum is fused with a product unless the source says so.

namespace emulator {

template <class To, class From> static To bits(From value) {
    static_assert(sizeof(To) >= sizeof(From), "");
    To result{};
    memcpy(&result, &value, sizeof value);
    return result;
}

// An intrinsic, called at a line.
struct Here {
    int site;

    template <class T> T read(unsigned mask, T value, int source) {
        unsigned long long found = meet(SHUFFLE, site, mask, bits<unsigned long long>(value), source);
        T result;
        memcpy(&result, &found, sizeof result);
        return result;
    }
    static int lane() { return block.current % LANES; }
    template <class T> T shfl(unsigned mask, T value, int source, int width = 32) {
        return read(mask, value, (lane() & ~(width - 1)) + (source & (width - 1)));
    }
    template <class T> T shfl_up(unsigned mask, T value, unsigned by, int width = 32) {
        int source = lane() - static_cast<int>(by);
        return read(mask, value, source < (lane() & ~(width - 1)) ? lane() : source);
    }
    template <class T> T shfl_down(unsigned mask, T value, unsigned by, int width = 32) {
        int source = lane() + static_cast<int>(by);
        return read(mask, value, source > (lane() | (width - 1)) ? lane() : source);
    }
    template <class T> T shfl_xor(unsigned mask, T value, int with, int width = 32) {
        int source = lane() ^ with;
        return read(mask, value, source > (lane() | (width - 1)) ? lane() : source);
    }
    unsigned ballot(unsigned mask, int predicate) {
        return static_cast<unsigned>(meet(BALLOT, site, mask, predicate != 0, 0));
    }
    int any(unsigned mask, int predicate) { return ballot(mask, predicate) != 0; }
    int all(unsigned mask, int predicate) { return ballot(mask, predicate) == mask; }
    template <class T> unsigned match_any(unsigned mask, T value) {
        return static_cast<unsigned>(meet(MATCH, site, mask, bits<unsigned long long>(value), 0));
    }
    void syncwarp(unsigned mask = 0xffffffffu) { meet(SYNCWARP, site, mask, 0, 0); }
    void syncthreads() { barrier(site, 0); }
    int syncthreads_or(int predicate) { barrier(site, predicate); return block.any_result; }
    int syncthreads_and(int predicate) { barrier(site, predicate); return block.all_result; }
    int syncthreads_count(int predicate) { barrier(site, predicate); return block.count_result; }
    [[noreturn]] void trap() { fail("__trap at line %d", site); }
};

}  // namespace emulator

#define __shfl_sync ::emulator::Here{__LINE__}.shfl
#define __shfl_up_sync ::emulator::Here{__LINE__}.shfl_up
#define __shfl_down_sync ::emulator::Here{__LINE__}.shfl_down
#define __shfl_xor_sync ::emulator::Here{__LINE__}.shfl_xor
#define __ballot_sync ::emulator::Here{__LINE__}.ballot
#define __any_sync ::emulator::Here{__LINE__}.any
#define __all_sync ::emulator::Here{__LINE__}.all
#define __match_any_sync ::emulator::Here{__LINE__}.match_any
#define __syncwarp ::emulator::Here{__LINE__}.syncwarp
#define __syncthreads ::emulator::Here{__LINE__}.syncthreads
#define __syncthreads_or ::emulator::Here{__LINE__}.syncthreads_or
#define __syncthreads_and ::emulator::Here{__LINE__}.syncthreads_and
#define __syncthreads_count ::emulator::Here{__LINE__}.syncthreads_count
#define __trap ::emulator::Here{__LINE__}.trap

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static __attribute__((section("cuda_shared")))
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

// CUDA's names, and after them the sources', in a namespace of their own, which hides the C library's: it has an `__expf`
// and an `index` too. The library closes it.
namespace kernels {
namespace {

#define VECTORS(type, base, name, alignment2, alignment4)                                                \
    struct alignas(alignment2) name##2 { type x, y; };                                                   \
    struct name##3 { type x, y, z; };                                                                    \
    struct alignas(alignment4) name##4 { type x, y, z, w; };                                             \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                              \
    static inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                   \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
VECTORS(float, float, float, 8, 16)
VECTORS(double, double, double, 16, 16)
VECTORS(int, int, int, 8, 16)
VECTORS(short, short, short, 4, 8)
VECTORS(unsigned short, ushort, ushort, 4, 8)
VECTORS(unsigned char, uchar, uchar, 2, 4)
#undef VECTORS
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

#define ATOMIC(type, name, expression)                           \
    static inline type name(volatile type* at, type value) {     \
        ::emulator::maybe_yield();                               \
        type old = *at;                                          \
        *at = expression;                                        \
        return old;                                              \
    }
#define INTEGER_ATOMICS(type)                        \
    ATOMIC(type, atomicAdd, old + value)             \
    ATOMIC(type, atomicMax, old > value ? old : value) \
    ATOMIC(type, atomicMin, old < value ? old : value) \
    ATOMIC(type, atomicOr, old | value)              \
    ATOMIC(type, atomicAnd, old & value)             \
    ATOMIC(type, atomicXor, old ^ value)             \
    ATOMIC(type, atomicExch, value)                  \
    static inline type atomicCAS(volatile type* at, type compare, type value) { \
        ::emulator::maybe_yield();                   \
        type old = *at;                              \
        if (old == compare) *at = value;             \
        return old;                                  \
    }
INTEGER_ATOMICS(int)
INTEGER_ATOMICS(unsigned)
INTEGER_ATOMICS(unsigned long long)
ATOMIC(int, atomicSub, old - value)
ATOMIC(unsigned, atomicSub, old - value)
ATOMIC(float, atomicAdd, old + value)
ATOMIC(double, atomicAdd, old + value)
ATOMIC(float, atomicExch, value)
#undef INTEGER_ATOMICS
#undef ATOMIC

static inline void __threadfence() {}
static inline void __threadfence_block() {}
template <class T> static inline T __ldg(const T* at) { return *at; }
template <class T> static inline T __ldcg(const T* at) { return *at; }
template <class T> static inline T __ldcs(const T* at) { return *at; }
template <class T> static inline void __stcg(T* at, T value) { *at = value; }
template <class T> static inline void __stcs(T* at, T value) { *at = value; }

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline unsigned __brev(unsigned x) {
    unsigned result = 0;
    for (int k = 0; k < 32; ++k) result |= (x >> k & 1u) << (31 - k);
    return result;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(1ull * a * b >> 32); }
static inline int __mulhi(int a, int b) { return static_cast<int>(1ll * a * b >> 32); }
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return by & 31 ? high << (by & 31) | low >> (32 - (by & 31)) : high;
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return by & 31 ? low >> (by & 31) | high << (32 - (by & 31)) : low;
}

static inline int __float_as_int(float x) { return emulator::bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return emulator::bits<unsigned>(x); }
static inline float __int_as_float(int x) { return emulator::bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return emulator::bits<float>(x); }
static inline long long __double_as_longlong(double x) { return emulator::bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return emulator::bits<double>(x); }
static inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
static inline int __float2int_rz(float x) { return static_cast<int>(x); }
static inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
static inline int __float2int_ru(float x) { return static_cast<int>(ceilf(x)); }
static inline unsigned __float2uint_rn(float x) { return static_cast<unsigned>(rintf(x)); }
static inline unsigned __float2uint_rz(float x) { return static_cast<unsigned>(x); }
static inline float __int2float_rn(int x) { return static_cast<float>(x); }
static inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }

static inline float __expf(float x) { return expf(x); }
static inline float __exp10f(float x) { return powf(10.0f, x); }
static inline float __logf(float x) { return logf(x); }
static inline float __log2f(float x) { return log2f(x); }
static inline float __powf(float x, float y) { return powf(x, y); }
static inline float __sinf(float x) { return sinf(x); }
static inline float __cosf(float x) { return cosf(x); }
static inline void __sincosf(float x, float* s, float* c) { *s = sinf(x); *c = cosf(x); }
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __fdiv_rn(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fsub_rn(float x, float y) { return x - y; }
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
static inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
static inline float rhypotf(float x, float y) { return 1.0f / hypotf(x, y); }
static inline float norm3df(float x, float y, float z) { return sqrtf(x * x + y * y + z * z); }
static inline float rnorm3df(float x, float y, float z) { return 1.0f / norm3df(x, y, z); }
static inline float fdividef(float x, float y) { return x / y; }

#define SMALLER_AND_LARGER(a, b, common)                                                                    \
    static inline common min(a x, b y) { return static_cast<common>(x) < static_cast<common>(y) ? x : y; }  \
    static inline common max(a x, b y) { return static_cast<common>(x) > static_cast<common>(y) ? x : y; }
SMALLER_AND_LARGER(int, int, int)
SMALLER_AND_LARGER(unsigned, unsigned, unsigned)
SMALLER_AND_LARGER(int, unsigned, unsigned)
SMALLER_AND_LARGER(unsigned, int, unsigned)
SMALLER_AND_LARGER(long long, long long, long long)
SMALLER_AND_LARGER(unsigned long long, unsigned long long, unsigned long long)
#undef SMALLER_AND_LARGER
static inline float min(float x, float y) { return fminf(x, y); }
static inline float max(float x, float y) { return fmaxf(x, y); }
static inline double min(double x, double y) { return fmin(x, y); }
static inline double max(double x, double y) { return fmax(x, y); }
