/* Vectors and functions of vectors, in every generated file. REAL is float or double, REAL_BYTES its size; sizes are
   run-time values; LANES follows the processor that the file is compiled for. */
#define _GNU_SOURCE
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef REAL real;
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES ((long)(BYTES / REAL_BYTES))
#if defined(__AVX512F__) || defined(__aarch64__)
#define WIDE 4 /* vectors in a panel: 6 x 4 accumulators fill 32 registers */
#else
#define WIDE 2 /* 6 x 2 accumulators fill 16 registers */
#endif
#define ROWS 6 /* rows in a tile */
#define PANEL (WIDE * LANES)
#define INLINE static inline __attribute__((always_inline, unused))

typedef real vec __attribute__((vector_size(BYTES), aligned(REAL_BYTES), may_alias));
typedef __typeof__((vec){} > (vec){}) mask; /* integers as wide as the reals */

/* ---- what processors have one instruction for ---------------------------------------------------------------
   Asked for by the compiler's own names, as <immintrin.h> alone takes a third of the time of compiling a cell; other
   processors and compilers get the same from plain C. */
#if BYTES == 64 && defined(__has_builtin)
#if __has_builtin(__builtin_ia32_loadups512_mask) && __has_builtin(__builtin_ia32_scalefps512_mask)
#define BY_NAME
#endif
#endif
#ifdef BY_NAME
#if REAL_BYTES == 4
#define OP(NAME, ...) (vec) __builtin_ia32_##NAME##ps512_mask(__VA_ARGS__)
#define ROUNDED(X) (vec) __builtin_ia32_rndscaleps_mask(X, 8, X, EVERY, 4)
#else
#define OP(NAME, ...) (vec) __builtin_ia32_##NAME##pd512_mask(__VA_ARGS__)
#define ROUNDED(X) (vec) __builtin_ia32_rndscalepd_mask(X, 8, X, EVERY, 4)
#endif
#define EVERY ((1u << LANES) - 1)
#define FIRST(N) ((1u << (N)) - 1)
#endif

/* ---- vectors ---------------------------------------------------------------------------------------------- */
INLINE vec all(real x) { return x - (vec){}; }
INLINE vec pick(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }
INLINE vec load(const real *p, long n) {
  if (n == LANES) return *(const vec *)p;
#ifdef BY_NAME
  return OP(loadu, p, (vec){}, FIRST(n));
#else
  vec v = {};
  for (long i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}
INLINE void store(real *p, vec v, long n) {
  if (n == LANES) *(vec *)p = v;
#ifdef BY_NAME
#if REAL_BYTES == 4
  else __builtin_ia32_storeups512_mask(p, v, FIRST(n));
#else
  else __builtin_ia32_storeupd512_mask(p, v, FIRST(n));
#endif
#else
  else for (long i = 0; i < n; i++) p[i] = v[i];
#endif
}
/* at_least(a, x) and at_most(a, x) hand on an x that is NaN */
#if defined(BY_NAME) && !defined(__clang__)
INLINE vec at_least(real a, vec x) { return OP(max, all(a), x, x, EVERY, 4); }
INLINE vec at_most(real a, vec x) { return OP(min, all(a), x, x, EVERY, 4); }
INLINE vec vsqrt(vec x) { return OP(sqrt, x, x, EVERY, 4); }
#elif BYTES == 32 && defined(__GNUC__) && !defined(__clang__)
#if REAL_BYTES == 4
#define OP(NAME, ...) (vec) __builtin_ia32_##NAME##ps256(__VA_ARGS__)
#else
#define OP(NAME, ...) (vec) __builtin_ia32_##NAME##pd256(__VA_ARGS__)
#endif
INLINE vec at_least(real a, vec x) { return OP(max, all(a), x); }
INLINE vec at_most(real a, vec x) { return OP(min, all(a), x); }
INLINE vec vsqrt(vec x) { return OP(sqrt, x); }
#else
INLINE vec at_least(real a, vec x) { return pick(x < a, all(a), x); }
INLINE vec at_most(real a, vec x) { return pick(x > a, all(a), x); }
INLINE vec vsqrt(vec x) {
  for (long i = 0; i < LANES; i++) x[i] = REAL_BYTES == 4 ? (real)sqrtf((float)x[i]) : (real)sqrt((double)x[i]);
  return x;
}
#endif
INLINE vec clamp(vec x, real low, real high) { return at_most(high, at_least(low, x)); }
/* nearest rounds to the nearest whole number; scaled is x * 2^k for a whole k that may be far out of range */
#ifdef BY_NAME
INLINE vec nearest(vec x) { return ROUNDED(x); }
INLINE vec scaled(vec x, vec k) { return OP(scalef, x, k, x, EVERY, 4); }
#else
/* beside 1.5 * 2^(mantissa bits) there is room for whole numbers only: adding it rounds */
#define SHIFT (REAL_BYTES == 4 ? (real)12582912.0 : (real)6755399441055744.0)
INLINE vec nearest(vec x) { return (x + SHIFT) - SHIFT; }
INLINE vec two_to(mask n) { return (vec)(REAL_BYTES == 4 ? (n + 127) << 23 : (n + 1023) << (REAL_BYTES == 4 ? 0 : 52)); }
INLINE vec scaled(vec x, vec k) { /* in two factors, so that the ends of the range come out right */
  const mask n = (mask)(k + SHIFT) - (mask)all(SHIFT), half = n >> 1;
  return x * two_to(half) * two_to(n - half);
}
#endif

/* ---- functions: a few ulp; exp is right over its whole range, infinities and subnormals included ------------ */
#define IS_FLOAT (REAL_BYTES == 4)
/* exp(x) = (1 + m) * 2^k with m small, the form from which exp and exp - 1 both come out exact;
   |x| must stay where 2^k is a number */
INLINE vec exp_parts(vec x, vec *k) {
  *k = nearest(x * (real)1.44269504088896340736);
  if (IS_FLOAT) {
    const vec r = (x - *k * (real)0.693359375) - *k * (real)-2.12194440e-4, r2 = r * r;
    const vec high = (r * (real)1.9875691500e-4 + (real)1.3981999507e-3) * r2 + (r * (real)8.3334519073e-3 + (real)4.1665795894e-2);
    return (high * r2 + (r * (real)1.6666665459e-1 + (real)5.0000001201e-1)) * r2 + r;
  }
  const vec r = (x - *k * (real)6.93145751953125e-1) - *k * (real)1.42860682030941723212e-6, r2 = r * r, r4 = r2 * r2;
#define PAIR(N, M) (r * (real)(1.0 / N) + (real)(1.0 / M))
  const vec low = PAIR(6, 2) + r2 * PAIR(120, 24), middle = PAIR(5040, 720) + r2 * PAIR(362880, 40320);
  const vec high = PAIR(39916800, 3628800) + r2 * PAIR(6227020800, 479001600);
  return ((high * r4 + middle) * r4 + low) * r2 + r;
}
INLINE vec vexp(vec x) {
  vec k;
  const vec m = exp_parts(clamp(x, IS_FLOAT ? (real)-104 : (real)-746, IS_FLOAT ? (real)88.8 : (real)709.9), &k);
  return scaled(m + (real)1, k);
}
#define SIGN ((mask)all((real)-0.0))
INLINE vec vabs(vec x) { return (vec)((mask)x & ~SIGN); }
/* from exp(-|x|), which never overflows: right down to the last subnormal */
INLINE vec vsigmoid(vec x) {
  vec k;
  const vec m = exp_parts(at_least(IS_FLOAT ? (real)-104 : (real)-746, (vec)((mask)x | SIGN)), &k);
  const vec e = scaled(m + (real)1, k);
  return pick(x < 0, e, all(1)) / (e + (real)1);
}
/* (exp(2x) - 1) / (exp(2x) + 1), with exp - 1 exact near 0 */
INLINE vec vtanh(vec x) {
  const real far = IS_FLOAT ? (real)20 : (real)44;
  vec k;
  const vec m = exp_parts(clamp(x + x, -far, far), &k);
  const vec e = scaled(all(1), k), less_one = m * e + (e - (real)1);
  return less_one / (less_one + (real)2);
}
INLINE vec vrelu(vec x) { return pick(x <= 0, all(0), x); }
/* beside 2^(mantissa bits) there is room for whole numbers only: adding it rounds, halves to even */
INLINE vec vround(vec x) {
  const real whole = IS_FLOAT ? (real)8388608.0 : (real)4503599627370496.0;
  const vec size = vabs(x), near = (size + whole) - whole;
  return pick(size < whole, (vec)((mask)near | ((mask)x & SIGN)), x);
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
