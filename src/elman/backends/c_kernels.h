/* The fixed part of every generated file: vectors, functions of vectors, and the one register-tiled product.
   REAL is float or double. Sizes are run-time values; LANES follows the processor the file is compiled for. */
#define _GNU_SOURCE
#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

typedef REAL real;
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES ((long)(BYTES / sizeof(real)))
#if defined(__AVX512F__)
#define WIDE 4 /* vectors in a panel: 6 x 4 accumulators fill the 32 registers */
#else
#define WIDE 2 /* 6 x 2 accumulators fill 16 registers */
#endif
#define ROWS 6 /* rows in a tile */
#define PANEL (WIDE * LANES)
#define INLINE static inline __attribute__((always_inline))

typedef real vec __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));
typedef __typeof__((vec){} > (vec){}) mask; /* integers as wide as the reals */

/* ---- vectors ---------------------------------------------------------------------------------------------- */
INLINE vec all(real x) { return x - (vec){}; }
INLINE vec pick(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }
INLINE vec load(const real *p, long n) {
  if (n == LANES) return *(const vec *)p;
  vec v = {};
  for (long i = 0; i < n; i++) v[i] = p[i];
  return v;
}
INLINE void store(real *p, vec v, long n) {
  if (n == LANES) *(vec *)p = v;
  else for (long i = 0; i < n; i++) p[i] = v[i];
}

/* ---- functions: a few ulp; exp is right over its whole range, infinities and subnormals included ------------ */
#define IS_FLOAT (sizeof(real) == 4)
INLINE vec polynomial(vec x, const double *c, int n) {
  vec p = all((real)c[0]);
  for (int i = 1; i < n; i++) p = p * x + (real)c[i];
  return p;
}
/* exp(x) = (1 + m) * 2^n with m small, the form from which exp and exp - 1 both come out exact;
   |x| must stay where n fits the exponent */
INLINE vec exp_parts(vec x, mask *n) {
  const vec shift = all(IS_FLOAT ? (real)12582912.0 : (real)6755399441055744.0); /* 1.5 * 2^(mantissa bits) */
  const vec t = x * (real)1.44269504088896340736 + shift; /* rounds to the nearest integer */
  const vec k = t - shift;
  *n = (mask)t - (mask)shift;
  if (IS_FLOAT) {
    const vec r = (x - k * (real)0.693359375) - k * (real)-2.12194440e-4;
    static const double c[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                               4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
    return polynomial(r, c, 6) * (r * r) + r;
  }
  const vec r = (x - k * (real)6.93145751953125e-1) - k * (real)1.42860682030941723212e-6;
  static const double c[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                             1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
  return polynomial(r, c, 12) * (r * r) + r;
}
INLINE vec two_to(mask n) { return (vec)(IS_FLOAT ? (n + 127) << 23 : (n + 1023) << (IS_FLOAT ? 0 : 52)); }
INLINE vec clamp(vec x, real low, real high) {
  x = pick(x < low, all(low), x);
  return pick(x > high, all(high), x);
}
INLINE vec vexp(vec x) {
  const real high = IS_FLOAT ? (real)88.8 : (real)709.9, low = IS_FLOAT ? (real)-104 : (real)-746;
  mask n;
  const vec m = exp_parts(clamp(x, low, high), &n);
  const mask half = n >> 1; /* in two factors, so that the ends of the range come out right */
  return (m + (real)1) * two_to(half) * two_to(n - half);
}
INLINE vec vsigmoid(vec x) {
  const real far = IS_FLOAT ? (real)88.3 : (real)709.4;
  mask n;
  const vec m = exp_parts(clamp(-x, -far, far), &n);
  const vec e = two_to(n);
  return (real)1 / ((e + (real)1) + m * e);
}
INLINE vec vabs(vec x) { return pick(x < 0, -x, x); }
/* (exp(2x) - 1) / (exp(2x) + 1), with exp - 1 exact near 0 */
INLINE vec vtanh(vec x) {
  const real far = IS_FLOAT ? (real)20 : (real)44;
  mask n;
  const vec m = exp_parts(clamp(x + x, -far, far), &n);
  const vec e = two_to(n), less_one = m * e + (e - (real)1);
  return less_one / (less_one + (real)2);
}
INLINE vec vrelu(vec x) { return pick(x <= 0, all(0), x); }
/* beside 2^(mantissa bits) there is room for whole numbers only: adding it rounds, halves to even */
INLINE vec vround(vec x) {
  const real whole = IS_FLOAT ? (real)8388608.0 : (real)4503599627370496.0;
  const vec size = vabs(x), near = (size + whole) - whole;
  return pick(size < whole, (vec)((mask)near | ((mask)x & (mask)all((real)-0.0))), x);
}
INLINE vec vfloor(vec x) {
  const vec near = vround(x);
  return near - pick(near > x, all(1), all(0));
}
INLINE vec vsign(vec x) { return pick(x > 0, all(1), pick(x < 0, all(-1), x)); }
INLINE vec vmaximum(vec a, vec b) { return pick((a > b) | (a != a), a, b); }
INLINE vec vminimum(vec a, vec b) { return pick((a < b) | (a != a), a, b); }
INLINE vec vless(vec a, vec b) { return pick(a < b, all(1), all(0)); }
INLINE vec vequal(vec a, vec b) { return pick(a == b, all(1), all(0)); }
INLINE vec vwhere(vec c, vec a, vec b) { return pick(c != 0, a, b); }
#define BY_LANE(NAME, EXPRESSION)                            \
  INLINE vec NAME(vec x) {                                   \
    for (long i = 0; i < LANES; i++) {                       \
      const real a = x[i];                                   \
      x[i] = EXPRESSION;                                     \
    }                                                        \
    return x;                                                \
  }
#define MATH(NAME, X) (IS_FLOAT ? (real)NAME##f((float)(X)) : (real)NAME((double)(X)))
BY_LANE(vlog, MATH(log, a))
BY_LANE(vsqrt, MATH(sqrt, a))
BY_LANE(vsin, MATH(sin, a))
BY_LANE(vcos, MATH(cos, a))
BY_LANE(vsoftplus, (a > 0 ? a : 0) + MATH(log1p, MATH(exp, a > 0 ? -a : a)))
INLINE vec vpow(vec x, vec y) {
  for (long i = 0; i < LANES; i++) x[i] = IS_FLOAT ? (real)powf((float)x[i], (float)y[i]) : (real)pow((double)x[i], (double)y[i]);
  return x;
}

/* ---- random numbers: backends/draws.py says what they are; the words are whole and below 2^24 ------------------ */
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef int32_t whole __attribute__((vector_size(4 * LANES)));
#define MIX(NAME, TYPE)                             \
  INLINE TYPE NAME(TYPE word) {                     \
    word += 0x9E3779B9u;                            \
    word = (word ^ (word >> 16)) * 0x21F0AAADu;     \
    word = (word ^ (word >> 15)) * 0xD35A2D97u;     \
    return word ^ (word >> 15);                     \
  }
MIX(mix, uint32_t)
MIX(mix_all, bits)
INLINE vec vrandom(uint32_t stream, vec seed, vec row, vec step, long unit) {
  const uint32_t s = (uint32_t)(int32_t)seed[0], r = (uint32_t)(int32_t)row[0], t = (uint32_t)(int32_t)step[0];
  const uint32_t one = mix(mix(mix(mix(s) ^ stream) ^ r) ^ t), other = mix(mix(mix(mix(~s) ^ stream) ^ r) ^ t);
  bits entry;
  for (long i = 0; i < LANES; i++) entry[i] = (uint32_t)(unit + i);
  const bits found = mix_all(mix_all(entry ^ one) ^ other) >> 8;
  return __builtin_convertvector((whole)found, vec) * (real)(1.0 / 16777216);
}

/* ---- the product: tile[m][n] = sum over k of a[m, k] * b[k, n], in registers ---------------------------------
   b is packed: k runs over rows of NV vectors. a is read in place: step_m between rows, step_k between columns. */
#define TILE(M, NV)                                                                                             \
  static void tile_##M##_##NV(real *tile, long k, const real *a, long step_m, long step_k, const real *b) {     \
    vec s[M][NV];                                                                                               \
    for (int m = 0; m < M; m++)                                                                                 \
      for (int v = 0; v < NV; v++) s[m][v] = (vec){};                                                           \
    _Pragma("GCC unroll 2") for (; k > 0; k--, a += step_k, b += NV * LANES) {                                  \
      vec w[NV];                                                                                                \
      _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) w[v] = *(const vec *)(b + v * LANES);                \
      _Pragma("GCC unroll 6") for (int m = 0; m < M; m++) {                                                     \
        const vec x = all(a[m * step_m]);                                                                       \
        _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) s[m][v] += x * w[v];                               \
      }                                                                                                         \
    }                                                                                                           \
    for (int m = 0; m < M; m++)                                                                                 \
      for (int v = 0; v < NV; v++) *(vec *)(tile + m * PANEL + v * LANES) = s[m][v];                            \
  }
#define TILES(NV) TILE(1, NV) TILE(2, NV) TILE(3, NV) TILE(4, NV) TILE(5, NV) TILE(6, NV)
TILES(1)
TILES(2)
#if WIDE == 4
TILES(3)
TILES(4)
#endif
typedef void tile_function(real *, long, const real *, long, long, const real *);
#define ENTRIES(NV) {tile_1_##NV, tile_2_##NV, tile_3_##NV, tile_4_##NV, tile_5_##NV, tile_6_##NV}
static tile_function *const tiles[WIDE][ROWS] = {
    ENTRIES(1), ENTRIES(2),
#if WIDE == 4
    ENTRIES(3), ENTRIES(4),
#endif
};
INLINE long vectors(long n) { return (n + LANES - 1) / LANES; }
INLINE long panels(long n) { return (n + PANEL - 1) / PANEL; }
INLINE long panel_width(long n, long p) { return n - p * PANEL < PANEL ? n - p * PANEL : PANEL; }
INLINE long packed_size(long n, long k) { return vectors(n) * LANES * k; }
INLINE long least(long a, long b) { return a < b ? a : b; }
/* rows left, cut into tiles as even as possible */
INLINE long tile_rows(long left) { return (left + (left + ROWS - 1) / ROWS - 1) / ((left + ROWS - 1) / ROWS); }

/* panel p of an (n, k) matrix whose entry (i, j) is at w[i * step_n + j * step_k] */
static void pack(real *to, const real *w, long n, long k, long step_n, long step_k, long p) {
  const long width = panel_width(n, p), wide = vectors(width) * LANES;
  w += p * PANEL * step_n;
  to += p * PANEL * k;
  if (step_n == 1) {
    for (long j = 0; j < k; j++, to += wide) {
      for (long i = 0; i < width; i++) to[i] = w[j * step_k + i];
      for (long i = width; i < wide; i++) to[i] = 0;
    }
    return;
  }
  for (long i0 = 0; i0 < wide; i0 += LANES)
    for (long j = 0; j < k; j++)
      for (long i = i0; i < i0 + LANES; i++) to[j * wide + i] = i < width ? w[i * step_n + j * step_k] : 0;
}

/* out[i, j] += sum over rows r of a[r, i] * b[r, j], for rows i of one chunk and one panel of j;
   rows of a and b lie step_a and step_b apart */
#define CHUNK 96
static void add_outer(real *out, const real *a, long step_a, long m, const real *b, long step_b, long n, long rows,
                      long chunk, long p, real *packed) {
  const long width = panel_width(n, p), nv = vectors(width), end = least(m, (chunk + 1) * CHUNK);
  pack(packed - p * PANEL * rows, b, n, rows, 1, step_b, p);
  for (long i = chunk * CHUNK; i < end;) {
    const long ni = tile_rows(end - i);
    real tile[ROWS * PANEL] __attribute__((aligned(64)));
    tiles[nv - 1][ni - 1](tile, rows, a + i, 1, step_a, packed);
    for (long r = 0; r < ni; r++, i++)
      for (long j = 0; j < width; j++) out[i * n + p * PANEL + j] += tile[r * PANEL + j];
  }
}
/* out[j] += sum over rows r of a[r, j] */
static void add_rows(real *out, const real *a, long n, long rows) {
  for (long j = 0; j < n; j += LANES) {
    const long w = least(LANES, n - j);
    vec s[4] = {};
    long r = 0;
    for (; r + 4 <= rows; r += 4)
      for (int q = 0; q < 4; q++) s[q] += load(a + (r + q) * n + j, w);
    for (; r < rows; r++) s[0] += load(a + r * n + j, w);
    store(out + j, load(out + j, w) + ((s[0] + s[1]) + (s[2] + s[3])), w);
  }
}

/* rows of time and batch: runs of `count` rows, one every `stride`, from the first until the last */
struct rows {
  long first, last, count, stride;
};
INLINE struct rows run_of_rows(long first, long last) {
  return (struct rows){first, last, last - first, last > first ? last - first : 1};
}

/* ---- threads ---------------------------------------------------------------------------------------------- */
struct team {
  int threads;
  int arrived __attribute__((aligned(64)));
  int round __attribute__((aligned(64)));
};
static void barrier(struct team *team) {
  if (team->threads == 1) return;
  const int round = __atomic_load_n(&team->round, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == team->threads) {
    __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&team->round, round + 1, __ATOMIC_RELEASE);
    return;
  }
  for (long spins = 0; __atomic_load_n(&team->round, __ATOMIC_ACQUIRE) == round; spins++) {
    if (spins > 20000) sched_yield();
#if defined(__x86_64__)
    else __builtin_ia32_pause();
#endif
  }
}
/* the share of `id` among `threads` of n items, cut at multiples of `grain` */
INLINE long share(long n, int id, int threads, long grain) {
  return id == threads ? n : least(n, (n * id / threads + grain - 1) / grain * grain);
}
/* scratch memory is handed out in cache lines */
INLINE long room(long n) { return (n + 63) / 64 * 64; }
/* steps in a block of time: enough rows for the products over a block, few enough to stay in cache */
#define BLOCK_ROWS 512
INLINE long block_steps(long T, long B) {
  const long steps = (BLOCK_ROWS + B - 1) / (B ? B : 1);
  return steps < 1 ? 1 : least(T ? T : 1, steps);
}
/* waking a second thread costs what a core computes in some ten microseconds */
INLINE int work_threads(double cost, int threads) { return cost < 3e6 ? 1 : threads; }
/* 0: each thread takes its rows of the batch through time alone; 1: each takes its units, and they meet after
   every level of every step; 2: one thread steps, where meeting would cost more than it gives */
INLINE int step_mode(double cost, long B, int threads) {
  if (threads == 1) return 2;
  if (B >= 4 * threads) return 0;
  return cost * B > 2e4 ? 1 : 2;
}
