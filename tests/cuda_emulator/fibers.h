// The threads of a block as fibers, and how they wait for each other.
//
// They change only where threads wait (and, with a seed, at atomics), so a kernel without races gives the same in every
// order. What the hardware leaves undefined is an error: lanes or threads that meet at different places, waiting for one
// that has ended, reading a lane outside the mask. Shared memory starts every block as NaN.

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct uint3 { unsigned x, y, z; };
static uint3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

// The shared variables of all kernels lie side by side; weak, because there may be none.
extern "C" __attribute__((weak, visibility("hidden"))) unsigned __start_cuda_shared[], __stop_cuda_shared[];

namespace emulator {

constexpr int LANES = 32, WARPS = 32, THREADS = LANES * WARPS;
constexpr size_t PAGE = 4096, STACK = 1 << 18;
constexpr unsigned POISON = 0xfff5a5c3u;  // a NaN, as float and as double; far out of reach as an index
enum Order { FORWARD, REVERSED, SHUFFLED };

#if defined(__x86_64__)
// Saves what a call must keep, then goes on where the other fiber was; ucontext's own asks the system each time.
extern "C" void emulator_switch(void** from, void* to);
asm(R"(
.text
.local emulator_switch
.type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch, .-emulator_switch
)");

struct Context {
    void* top;

    void start(char* stack, void (*entry)()) {
        void** frame = reinterpret_cast<void**>(stack + STACK);
        *--frame = nullptr;  // the entry never returns; keeps the stack aligned as after a call
        *--frame = reinterpret_cast<void*>(entry);
        for (int k = 0; k < 6; ++k) *--frame = nullptr;
        top = frame;
    }
    void switch_to(Context& other) { emulator_switch(&top, other.top); }
};
#else
struct Context {
    ucontext_t state;

    void start(char* stack, void (*entry)()) {
        getcontext(&state);
        state.uc_stack.ss_sp = stack;
        state.uc_stack.ss_size = STACK;
        state.uc_link = nullptr;
        makecontext(&state, entry, 0);
    }
    void switch_to(Context& other) { swapcontext(&state, &other.state); }
};
#endif

enum Kind { SYNCWARP, SHUFFLE, BALLOT, MATCH, BARRIER };
static const char* const NAMES[] = {"__syncwarp", "__shfl_sync", "a vote", "__match_any_sync", "__syncthreads"};

struct Fiber {
    Context context;
    char* stack;
    Kind kind;               // of what it waits for
    int site;                // line where it waits
    unsigned mask;           // lanes that it waits for
    int source;              // lane to read
    unsigned long long value, result;
};

struct Warp {
    unsigned ready, waiting, at_barrier, exited;  // lanes, as bits
};

struct Block {
    Fiber fibers[THREADS];
    Warp warps[WARPS];
    unsigned ready_warps;
    int current, live, arrived, site;
    int any, all, count, any_result, all_result, count_result;
};

static Block block;
static Context outside;
static Order order;
static unsigned long long seed;
static void (*body)(void**);
static void** arguments;
static char message[1024];
static bool failed;
static sigjmp_buf recovery;
static pthread_t owner;

static unsigned random_number() {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return static_cast<unsigned>(seed >> 32);
}

static int choose(unsigned bits) {
    if (order == FORWARD) return __builtin_ctz(bits);
    if (order == REVERSED) return 31 - __builtin_clz(bits);
    unsigned turn = random_number() & 31u;
    return (__builtin_ctz(bits >> turn | bits << ((32 - turn) & 31)) + turn) & 31;
}

static void where(char* text, size_t size) {
    snprintf(text, size, "block (%u, %u, %u), thread %d", blockIdx.x, blockIdx.y, blockIdx.z, block.current);
}

[[noreturn]] static void fail(const char* format, ...) {
    char place[96], what[512];
    where(place, sizeof place);
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    snprintf(message, sizeof message, "%s: %s", place, what);
    failed = true;
    Context abandoned;
    abandoned.switch_to(outside);
    __builtin_unreachable();
}

static void wake(int warp, unsigned lanes) {
    block.warps[warp].ready |= lanes;
    block.ready_warps |= 1u << warp;
}

[[noreturn]] static void deadlock() {
    char text[400] = "deadlock";
    int used = 8;
    if (block.arrived)
        used += snprintf(text + used, sizeof text - used, "; %d threads wait in __syncthreads at line %d", block.arrived,
                         block.site);
    for (int t = 0, shown = 0; t < THREADS && shown < 2; ++t) {
        const Fiber& f = block.fibers[t];
        bool alike = t % LANES && block.fibers[t - 1].site == f.site && block.fibers[t - 1].mask == f.mask;
        if (!(block.warps[t / LANES].waiting >> t % LANES & 1u) || alike) continue;
        used += snprintf(text + used, sizeof text - used, "; thread %d waits in %s at line %d with mask %08x", t,
                         NAMES[f.kind], f.site, f.mask);
        ++shown;
    }
    fail("%s", text);
}

// The next fiber that can run; -1 where all have ended.
static int pick() {
    int warp = block.current / LANES;
    if (order == SHUFFLED || !block.warps[warp].ready) {
        if (!block.ready_warps) {
            if (block.live) deadlock();
            return -1;
        }
        warp = choose(block.ready_warps);
    }
    Warp& of = block.warps[warp];
    int lane = choose(of.ready);
    of.ready &= ~(1u << lane);
    if (!of.ready) block.ready_warps &= ~(1u << warp);
    return warp * LANES + lane;
}

static void resume(int thread, Context& from) {
    block.current = thread;
    from.switch_to(block.fibers[thread].context);
}

// Let the others run; the fiber is already where it waits.
static void suspend() {
    int self = block.current;
    asm volatile("" ::: "memory");
    int next = pick();
    if (next != self) resume(next, block.fibers[self].context);
    block.current = self;
    threadIdx.x = self;
    asm volatile("" ::: "memory");
}

static void maybe_yield() {
    if (order != SHUFFLED || random_number() & 3u) return;
    wake(block.current / LANES, 1u << (block.current % LANES));
    suspend();
}

static void release_barrier() {
    block.any_result = block.any;
    block.all_result = block.all;
    block.count_result = block.count;
    block.any = block.count = block.arrived = 0;
    block.all = 1;
    for (int w = 0; w < WARPS; ++w) {
        if (block.warps[w].at_barrier) wake(w, block.warps[w].at_barrier);
        block.warps[w].at_barrier = 0;
    }
}

static void barrier(int site, int predicate) {
    if (block.arrived && block.site != site)
        fail("in __syncthreads at line %d while others are in that at line %d", site, block.site);
    block.site = site;
    block.any |= predicate != 0;
    block.all &= predicate != 0;
    block.count += predicate != 0;
    block.warps[block.current / LANES].at_barrier |= 1u << (block.current % LANES);
    if (++block.arrived == block.live) release_barrier();
    suspend();
}

static unsigned long long ballot(unsigned mask, Fiber* lanes) {
    unsigned long long bits = 0;
    for (unsigned m = mask; m; m &= m - 1) {
        int lane = __builtin_ctz(m);
        bits |= static_cast<unsigned long long>(lanes[lane].value != 0) << lane;
    }
    return bits;
}

// All lanes of the mask are here: give each its result, before any goes on to the next.
static void exchange(Kind kind, unsigned mask, Fiber* lanes) {
    unsigned long long votes = kind == BALLOT ? ballot(mask, lanes) : 0;
    for (unsigned m = mask; m; m &= m - 1) {
        Fiber& own = lanes[__builtin_ctz(m)];
        if (kind == SHUFFLE) {
            if (!(mask >> own.source & 1u))
                fail("__shfl_sync at line %d reads lane %d, outside the mask %08x", own.site, own.source, mask);
            own.result = lanes[own.source].value;
        } else if (kind == BALLOT) {
            own.result = votes;
        } else if (kind == MATCH) {
            own.result = 0;
            for (unsigned k = mask; k; k &= k - 1)
                own.result |= static_cast<unsigned long long>(lanes[__builtin_ctz(k)].value == own.value)
                              << __builtin_ctz(k);
        }
    }
}

static unsigned long long meet(Kind kind, int site, unsigned mask, unsigned long long value, int source) {
    int warp = block.current / LANES, lane = block.current % LANES;
    Warp& of = block.warps[warp];
    Fiber* lanes = block.fibers + warp * LANES;
    Fiber& self = lanes[lane];
    if (!(mask >> lane & 1u)) fail("%s at line %d: the mask %08x lacks the own lane %d", NAMES[kind], site, mask, lane);
    if (mask & of.exited)
        fail("%s at line %d: the mask %08x holds lanes that have ended (%08x)", NAMES[kind], site, mask, of.exited);
    self.kind = kind;
    self.site = site;
    self.mask = mask;
    self.value = value;
    self.source = source;
    of.waiting |= 1u << lane;
    unsigned here = 0;  // a lane that waits with another mask may come when it is through
    for (unsigned m = of.waiting & mask; m; m &= m - 1) {
        Fiber& other = lanes[__builtin_ctz(m)];
        if (other.mask != mask) continue;
        if (other.kind != kind || other.site != site)
            fail("%s at line %d while lane %d is in %s at line %d with the same mask %08x", NAMES[kind], site,
                 __builtin_ctz(m), NAMES[other.kind], other.site, mask);
        here |= m & -m;
    }
    if (here == mask) {
        exchange(kind, mask, lanes);
        of.waiting &= ~mask;
        wake(warp, mask);
    }
    suspend();
    return self.result;
}

static void leave() {
    int warp = block.current / LANES, lane = block.current % LANES;
    Warp& of = block.warps[warp];
    of.exited |= 1u << lane;
    for (unsigned m = of.waiting; m; m &= m - 1) {
        Fiber& other = block.fibers[warp * LANES + __builtin_ctz(m)];
        if (other.mask >> lane & 1u)
            fail("ends while lane %d waits for it in %s at line %d", __builtin_ctz(m), NAMES[other.kind], other.site);
    }
    if (--block.live && block.arrived == block.live) release_barrier();
    Fiber& self = block.fibers[block.current];
    int next = pick();
    if (next < 0) self.context.switch_to(outside);
    resume(next, self.context);
    __builtin_unreachable();
}

static void enter() {
    threadIdx.x = block.current;
    body(arguments);
    leave();
}

static void run_block(int threads) {
    for (unsigned* word = __start_cuda_shared; word < __stop_cuda_shared; ++word) *word = POISON;
    memset(block.warps, 0, sizeof block.warps);
    block.ready_warps = 0;
    block.current = block.arrived = block.any = block.count = 0;
    block.all = 1;
    block.live = threads;
    for (int t = 0; t < threads; ++t) block.fibers[t].context.start(block.fibers[t].stack, enter);
    for (int w = 0; w < threads / LANES; ++w) wake(w, 0xffffffffu);
    resume(pick(), outside);
}

// Memory for the stacks, a page without access below each. One for all libraries of a process.
static void* make_stacks() {
    size_t size = THREADS * (STACK + PAGE);
    void* all = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    for (int t = 0; t < THREADS; ++t) mprotect(static_cast<char*>(all) + t * (STACK + PAGE), PAGE, PROT_NONE);
    return all;
}

static void trapped(int signal_number) {
    if (!pthread_equal(owner, pthread_self())) {  // somebody else's fault
        signal(signal_number, SIG_DFL);
        return;
    }
    char place[96];
    where(place, sizeof place);
    snprintf(message, sizeof message, "%s: %s", place,
             signal_number == SIGFPE ? "divides an integer by zero"
                                     : "touches memory that no argument names, or an unaligned vector");
    failed = true;
    siglongjmp(recovery, 1);
}

struct Launch {
    void** arguments;
    const int* grid;  // blocks along x, y and z
    int threads, order;
    unsigned seed;
    char* stacks;
};

// The error, or null.
static const char* run(void (*kernel)(void**), int most_threads, const Launch& launch) {
    const int* grid = launch.grid;
    int threads = launch.threads;
    if (threads > most_threads) {
        snprintf(message, sizeof message, "%d threads, more than its __launch_bounds__ of %d", threads, most_threads);
        return message;
    }
    static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE};
    static char handler_stack[1 << 16];
    for (int t = 0; t < THREADS; ++t) block.fibers[t].stack = launch.stacks + t * (STACK + PAGE) + PAGE;
    body = kernel;
    arguments = launch.arguments;
    order = static_cast<Order>(launch.order);
    seed = 0x9e3779b97f4a7c15ull ^ launch.seed;
    failed = false;
    owner = pthread_self();
    blockDim = {static_cast<unsigned>(threads), 1, 1};
    gridDim = {static_cast<unsigned>(grid[0]), static_cast<unsigned>(grid[1]), static_cast<unsigned>(grid[2])};
    threadIdx = {0, 0, 0};

    long long n = 1ll * grid[0] * grid[1] * grid[2];
    long long stride = 1, start = 0;
    if (order == SHUFFLED && n > 1) {
        long long a, b;
        do {
            stride = 1 + random_number() % (n - 1);
            for (a = n, b = stride; b; ) { long long rest = a % b; a = b; b = rest; }
        } while (a != 1);
        start = random_number() % n;
    }
    stack_t signal_stack = {}, old_stack;
    signal_stack.ss_sp = handler_stack;
    signal_stack.ss_size = sizeof handler_stack;
    sigaltstack(&signal_stack, &old_stack);
    struct sigaction action = {}, old[3];
    action.sa_handler = trapped;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (int k = 0; k < 3; ++k) sigaction(SIGNALS[k], &action, &old[k]);
#if defined(__x86_64__)
    unsigned rounding = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(rounding | 0x8040);  // tiny numbers are 0, as the kernels are compiled
#endif
    if (!sigsetjmp(recovery, 1)) {
        for (long long k = 0; k < n && !failed; ++k) {
            unsigned long long b = order == REVERSED ? n - 1 - k : (start + k * stride) % n;
            blockIdx = {static_cast<unsigned>(b % gridDim.x), static_cast<unsigned>(b / gridDim.x % gridDim.y),
                        static_cast<unsigned>(b / gridDim.x / gridDim.y)};
            run_block(threads);
        }
    }
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(rounding);
#endif
    for (int k = 0; k < 3; ++k) sigaction(SIGNALS[k], &old[k], nullptr);
    sigaltstack(&old_stack, nullptr);
    return failed ? message : nullptr;
}

}  // namespace emulator

extern "C" void* emulator_stacks() { return emulator::make_stacks(); }
